"""Attacks on a step's sandbox, run for real as its own code. `python -m tests.attacks` prints the result of each."""
