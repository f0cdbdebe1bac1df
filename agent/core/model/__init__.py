"""Requests to a model: order of messages, rules of a model, faults of a provider, tokens."""
