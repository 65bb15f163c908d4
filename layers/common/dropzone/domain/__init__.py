"""Pure code: nothing in here knows of AWS, Postgres, the environment or the clock's neighbours."""
