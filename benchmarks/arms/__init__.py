"""What a search ends with, on tables of real trainings whose truth is known: `python -m benchmarks.arms`."""
