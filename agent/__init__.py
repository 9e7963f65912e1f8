"""The agent: the loop between a model and the tools, the session around it, and the command line."""
