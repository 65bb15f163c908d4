"""Reads, a file for each: its parameters, its answer, its SQL, and one function that asks.

Each raises SilverUnavailableError if the database can't be reached.
"""
