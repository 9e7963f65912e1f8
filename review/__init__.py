"""The morning review: what waits for a decision, on the terminal and on a local web page."""
