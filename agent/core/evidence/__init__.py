"""Results of runs: how they are read, judged against baselines, and checked later."""
