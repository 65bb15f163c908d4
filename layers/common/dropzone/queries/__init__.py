"""Reads, one file each, with its parameters, its answer, its SQL, and one function that runs it.

Each raises SilverUnavailableError if the database can't be reached.
"""
