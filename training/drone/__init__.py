"""Drones that deliver: a built-in environment, and an example of a native PufferEnv in numpy."""
