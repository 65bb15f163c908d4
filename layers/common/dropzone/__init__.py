"""Dropzone: measurement events in over HTTPS, raw in S3, clean in Postgres.

`domain` is pure, `use_cases` say what happens, `ports` what they need of the outside world, and `adapters` are the
only modules that talk to it. The handlers in `functions/` decode an event, call one use case and encode its answer.
"""
