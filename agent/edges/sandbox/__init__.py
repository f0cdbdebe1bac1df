"""Sandboxes of steps: bubblewrap, or Landlock with seccomp."""
