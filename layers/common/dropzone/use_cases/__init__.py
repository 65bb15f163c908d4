"""One module per use case. Adapters are passed in."""
