"""Guarantees under faults: the oracle on the real local stack, and crash points against the real Postgres."""
