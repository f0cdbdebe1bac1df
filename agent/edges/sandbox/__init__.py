"""What holds a step: bubblewrap, or Landlock with seccomp."""
