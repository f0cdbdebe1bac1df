"""Effects, one concern a room: files, git, processes, models, templates."""
