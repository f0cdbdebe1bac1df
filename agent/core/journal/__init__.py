"""The journal of an idea: its events, the state that they fold to, and the budgets they spend."""
