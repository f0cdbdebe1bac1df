"""Words for people: how an idea stands, its events, its commits and its costs."""
