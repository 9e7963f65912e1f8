"""The chat interface and the models behind it, what asking them may cost."""
