"""The commands: each reads its options, makes a call, and prints the result."""
