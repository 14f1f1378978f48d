"""Sound to look at."""
