"""What can be concluded: verdicts and the tests behind them, confirmation, pruning, predictions, diagnosis, lessons."""
