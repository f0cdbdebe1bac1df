"""One module per command, or per two commands that belong together. agent.cli.table lists them."""
