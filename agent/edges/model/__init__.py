"""Language models and their stand-ins."""
