"""Answers of providers, read from their bytes: text, thoughts, end, tokens, and the faults that stand in them."""
