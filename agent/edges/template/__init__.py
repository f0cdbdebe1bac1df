"""Templates on disk, their environment and their data."""
