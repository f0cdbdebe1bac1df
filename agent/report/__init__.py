"""State and events in words."""
