"""Pure code: no AWS, no Postgres, no environment."""
