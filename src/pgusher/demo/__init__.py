"""The incident, staged for real on an embedded PostgreSQL; and the launcher of that server, which the tests use too."""
