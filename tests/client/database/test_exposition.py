"""The figures in Prometheus' text format."""

from __future__ import annotations

import re
from typing import Any

import pytest
from psycopg_pool import PoolTimeout

import pgusher
from pgusher.client.exposition import exposition
from tests.client.database.conftest import Play

LINE = re.compile(r'([a-z_]+)\{database="((?:[^"\\]|\\.)*)"(?:,le="([^"]+)")?\} ([0-9.e+-]+)')


def read(text: str) -> dict[tuple[str, str, str], float]:
    """By metric, database and le."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.fullmatch(r"# (HELP|TYPE) [a-z_]+ .+", line)
            continue
        matched = LINE.fullmatch(line)
        assert matched is not None, line
        found[matched[1], matched[2], matched[3] or ""] = float(matched[4])
    return found


def test_a_database_tells_waits_loans_and_timeouts(make: Any, dsn: str, play: Play) -> None:
    async def body() -> None:
        db = make(dsn, max_size=1)
        async with db.cursor():
            with pytest.raises(PoolTimeout):
                await db.fetch_all("select 1", timeout=0.15)
            figures = read(db.metrics())
            told = {metric: value for (metric, _, le), value in figures.items() if not le}
            assert told["pgusher_pool_loans"] == 1
            assert told["pgusher_pool_oldest_loan_seconds"] >= 0.14
            assert told["pgusher_pool_timeouts_total"] == 1
            assert told["pgusher_pool_wait_seconds_count"] == 2
            assert figures["pgusher_pool_wait_seconds_bucket", db.name, "+Inf"] == 2
            assert figures["pgusher_pool_wait_seconds_bucket", db.name, "30"] == 2
            assert figures["pgusher_pool_wait_seconds_bucket", db.name, "0.1"] <= 1
        assert ("pgusher_pool_loans", db.name, "") in read(pgusher.metrics())

    play(body)


def test_a_hostile_name_stays_inside_its_quotes_and_two_pools_of_one_name_are_added() -> None:
    text = exposition([('a"b\\c\nd', {"pool_size": 2, "waits": 3}), ('a"b\\c\nd', {"pool_size": 3, "waits": 4})])
    figures = read(text)
    assert figures["pgusher_pool_sessions", r"a\"b\\c\nd", ""] == 5
    assert figures["pgusher_pool_wait_seconds_count", r"a\"b\\c\nd", ""] == 7
    assert text.count("# TYPE pgusher_pool_sessions gauge") == 1
