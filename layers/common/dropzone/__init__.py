"""Dropzone: measurement events in over HTTPS, raw in S3, clean in Postgres.

`domain` is pure. `use_cases` access the outside world through `ports`, which `adapters` implement. The handlers in
`functions/` decode an event, call one use case or query, and encode its answer.
"""
