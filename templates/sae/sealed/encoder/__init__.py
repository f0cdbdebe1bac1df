"""The run's own encode, answered by a process of its own, and the evaluator's own decoder."""
