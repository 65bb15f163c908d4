"""What the tests share: fakes of the ports, factories, a real Postgres."""
