"""What is shown of a run and of a night: on the terminal, in reports and digests, on the page."""
