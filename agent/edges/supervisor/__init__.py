"""The process that runs one step."""
