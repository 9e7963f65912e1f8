"""Who is told of what goes on, and by which way."""
