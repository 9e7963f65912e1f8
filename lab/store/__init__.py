"""What was done: the records, the runs and proposals on disk, the index over them, questions to all of them."""
