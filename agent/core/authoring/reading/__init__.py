"""A training script, read: results, settings and paths that its text tells."""
