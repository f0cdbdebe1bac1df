"""Checks, before a launch, of all that it needs."""
