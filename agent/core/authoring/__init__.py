"""Checks of a template, and lines that a script lacks."""
