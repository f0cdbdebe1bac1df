"""The loop that takes research ideas through plan, edit, run and feedback."""
