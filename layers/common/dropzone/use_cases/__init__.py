"""What Dropzone does, one module per use case. They get their adapters handed in, and never make one."""
