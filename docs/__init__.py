"""The docs, and what makes parts of them from real runs."""
