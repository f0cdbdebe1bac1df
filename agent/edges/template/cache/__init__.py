"""The cache of environments and prepared data: claimed by those who use it, listed, and freed of what nobody uses."""
