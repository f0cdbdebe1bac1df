"""Attacks on a step's sandbox, run for real as its own code; `python -m tests.attacks` prints what came of each."""
