"""Prompts: the view of a turn, put into words within a window."""
