"""What each action of the loop does."""
