"""The folder of an idea: its journal, lock, inbox and layout."""
