"""What `dropzone send` is made of: inputs are read as events, cut into batches, and sent, each batch once."""
