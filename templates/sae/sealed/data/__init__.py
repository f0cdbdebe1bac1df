"""Data of a profile: its plan and keys, how it is made, and the store in which it is kept."""
