"""How a model is talked to: message order, rules of a model, faults of a provider."""
