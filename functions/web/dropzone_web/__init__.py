"""The function Web: what needs no key and touches nothing."""
