"""The command line: for those who run Dropzone, and those who send."""
