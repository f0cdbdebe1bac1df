"""Scores of an SAE: one module a source of data, named as in the profile's hidden.source."""
