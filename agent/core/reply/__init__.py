"""What a model wrote, read: a plan, a command, a review, or what was wrong with it."""
