"""One module a command, or two commands that belong together; agent.cli.table lists them."""
