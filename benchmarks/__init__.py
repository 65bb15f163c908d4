"""What Dropzone costs, beside the least that it could and what the obvious alternatives do: `make bench`."""
