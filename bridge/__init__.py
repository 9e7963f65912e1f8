"""The door for agents: the record and the night as tools, resources and prompts of the Model Context Protocol."""
