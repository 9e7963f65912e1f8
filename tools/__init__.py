"""What a model may call: one typed function each. Nothing here approves, runs a shell or leaves the workspace."""
