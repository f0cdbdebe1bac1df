"""The run's own encode, computed in a process of its own, and the evaluator's decoder."""
