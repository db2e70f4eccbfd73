"""The server counts the sessions that it opens, and two samples tell how many came."""

from __future__ import annotations

import time

import psycopg
import pytest

from pgusher.collect.postgres.rows import opened_of
from tests.bed.bed import MONITOR, Bed
from tests.bed.requirements import each_version
from tests.collect.postgres.common import source


@each_version
def test_sessions_that_came_and_went_are_counted(bed: Bed) -> None:
    with source(bed.dsn(MONITOR, "postgres")) as looking:
        before = looking.sample().server.opened
        for _ in range(5):
            psycopg.connect(bed.dsn()).close()
        if bed.server.major < 14:
            assert before is None
            return
        assert before is not None
        # A session is counted when it reports its statistics, at its end at the latest: that is after the client's.
        deadline = time.monotonic() + 30
        while (after := looking.sample().server.opened) is not None and after < before + 5:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize(("lines", "opened"), [([b"17"], 17), ([], None), ([b""], None), ([b"x", b"\\N"], None)])
def test_a_row_of_the_counter(lines: list[bytes], opened: int | None) -> None:
    assert opened_of(lines) == opened
