"""The commands, one function each: their parameters are the options, their docstrings the help."""
