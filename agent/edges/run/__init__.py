"""Supervised steps from the orchestrator: prepared, started, awaited, read, published."""
