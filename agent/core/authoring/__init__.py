"""A template made from a script, and a template checked."""
