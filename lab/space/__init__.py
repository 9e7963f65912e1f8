"""What may be trained: keys and their ranges, a config as a value, environments, presets, what the user narrows."""
