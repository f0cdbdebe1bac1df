"""What a run measured, and what may be said of it."""
