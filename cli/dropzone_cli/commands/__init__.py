"""The commands: each reads its options, calls one thing, and prints."""
