"""Requests to a provider as they leave this machine, and answers as they come over the wire."""
