"""Python source as values: digests, findings, signatures, marked constants."""
