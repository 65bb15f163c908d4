"""The command line, for operators of Dropzone and for senders."""
