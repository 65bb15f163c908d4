"""The real handlers and adapters against servers on this machine that speak S3."""
