"""The attacks' code, copied into a step's folder: the standard library alone, and nothing of this project."""
