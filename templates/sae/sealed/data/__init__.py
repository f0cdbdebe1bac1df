"""Data of a profile: what is to be prepared, how it is made, and the store in which it is kept."""
