"""What takes minutes: `make soak`. Files here are named so that a plain `pytest` leaves them alone."""
