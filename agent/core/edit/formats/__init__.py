"""How a reply may write an edit: each format finds its own blocks and explains itself to the model."""
