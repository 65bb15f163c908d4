"""The function Web: routes that need no key and no data."""
