"""What clients send that they should not: bodies and requests, generated."""
