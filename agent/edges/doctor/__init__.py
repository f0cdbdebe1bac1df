"""Whether a launch would work."""
