"""The actions of the loop, each done on the edges by a module of its own."""
