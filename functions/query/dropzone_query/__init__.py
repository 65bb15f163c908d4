"""The function Query: reads, with a key."""
