"""Reads, a file for each: its parameters, its answer, its SQL, and one function that asks."""
