"""The repository of a workspace."""
