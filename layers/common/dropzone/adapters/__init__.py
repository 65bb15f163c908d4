"""Access to S3 and Postgres."""
