"""The command line: wiring only. It may import anything, lazily, and nothing imports it."""
