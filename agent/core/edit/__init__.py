"""SEARCH/REPLACE blocks and whole functions, applied to texts: all of them, or none."""
