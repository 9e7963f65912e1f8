"""Benchmarks, each a script that prints JSON and a ratio taken in the same run."""
