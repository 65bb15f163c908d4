"""The only modules that talk to the outside world: bronze to S3, silver to Postgres."""
