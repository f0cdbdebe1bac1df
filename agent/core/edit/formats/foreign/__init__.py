"""Changes written for other tools: as calls, in tags, as shell commands. They are read, or refused by name."""
