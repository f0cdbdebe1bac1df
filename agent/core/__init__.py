"""Decisions on values: no clock, socket, process, randomness or file."""
