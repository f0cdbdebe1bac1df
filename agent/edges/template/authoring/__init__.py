"""Making a template of a training script, and looking at the files of one."""
