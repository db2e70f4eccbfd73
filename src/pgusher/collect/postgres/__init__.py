"""The PostgreSQL source: sessions, ceilings and settings of one server, on the best rung of the ladder that holds.

    source = PostgresSource(Target(conninfo="host=/run/postgresql"))
    facts = source.sample()

No driver is imported: psycopg alone costs 200 ms, libpq by ctypes 10.
"""

from __future__ import annotations

from pgusher.collect.postgres.source import PostgresFacts, PostgresSource
from pgusher.collect.postgres.target import Target, complaint, trusted

__all__ = ["PostgresFacts", "PostgresSource", "Target", "complaint", "trusted"]
