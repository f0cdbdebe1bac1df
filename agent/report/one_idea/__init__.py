"""One idea in full: its state, its runs and their numbers, its steps."""
