"""Read a model's reply: its plan, command, edit or review, or the fault in its form."""
