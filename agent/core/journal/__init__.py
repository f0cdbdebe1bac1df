"""What happened, what it means: events, the state that they fold to, and the budgets they spend."""
