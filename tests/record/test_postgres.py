"""The same memory on a PostgreSQL server: what is asked of a file is asked of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgusher.demo.server import EmbeddedServer
from pgusher.model.past import ALL
from pgusher.model.server import Attempt
from pgusher.model.values import replace
from pgusher.record.database import StoreError
from pgusher.record.postgres import PostgresDatabase
from pgusher.record.reading import Reader
from pgusher.record.recorder import Recorder
from pgusher.record.retention import Retention
from pgusher.record.store import open_store
from tests.record.days import EIGHT, PORT, SECOND, Clock, pool, session, snapshot

HOSTILE = "a'b\\x\n\t\"; drop table life; --\u2028é?"


@pytest.fixture(scope="module")
def dsn(server: EmbeddedServer) -> str:
    return server.dsn()


@pytest.fixture(scope="module")
def reader(dsn: str) -> Iterator[Reader]:
    """Three hours and a bit, looked at each ten seconds."""
    clock = Clock()
    made = Recorder(open_store(dsn, write=True), every=10, monotonic=clock, retention=Retention(monotonic=clock))
    for second in range(0, 3 * 3600 + 60, 10):
        clock.now = float(second)
        jobs = pool(5, "cron/report", 500) if 4000 <= second < 4100 else []
        held = [*pool(3), *jobs, session(7, HOSTILE, ("idle", "active")[second // 50 % 2])]
        refused = (Attempt("user=app", "sorry, too many clients", "53300"),) if second == 4050 else ()
        made.take([snapshot(EIGHT + second * SECOND, held, attempts=refused)])
    made.take([snapshot(EIGHT + 11_000 * SECOND, pool(3))])
    made.close()
    opened = Reader(open_store(dsn))
    yield opened
    opened.close()


def test_who_held_what(reader: Reader) -> None:
    moment = reader.moment(PORT, EIGHT + 4050 * SECOND)
    assert moment.taken == 9
    assert sorted({one.holder for one in moment.lives}) == sorted({"unit/web", "cron/report", HOSTILE})
    assert {one.application_name for one in moment.lives} >= {HOSTILE}
    assert moment.ceiling is not None
    assert moment.ceiling.max_connections == 100
    assert len(reader.chain(moment.lives[0].chain)) == 2


def test_peaks_series_turns_and_refusals(reader: Reader) -> None:
    until = EIGHT + 3 * 3600 * SECOND
    peaks = {one.holder: one for one in reader.peaks(PORT, EIGHT, until)}
    assert (peaks[ALL].most, peaks["cron/report"].most, peaks["unit/web"].least) == (9, 5, 3)
    assert peaks["cron/report"].at == EIGHT + 3960 * SECOND  # its minute
    total = reader.series(PORT, EIGHT, until)[0]
    assert (total.most[66], total.most[70], total.least[10]) == (9, 4, 4)
    life = next(one for one in reader.lives(PORT, EIGHT, until) if one.holder == HOSTILE)
    assert len(reader.turns(PORT, life)) > 150
    assert [one.count for one in reader.refusals(PORT, EIGHT, until)] == [1]


def test_it_takes_one_session_which_is_named(reader: Reader, dsn: str) -> None:
    database = PostgresDatabase(dsn)
    rows = database.rows("select application_name as a from pg_stat_activity where pid = pg_backend_pid()")
    database.close()
    assert rows == [("pgusher",)]


def test_there_is_one_recorder_at_a_time(reader: Reader, dsn: str) -> None:
    first = open_store(dsn, write=True)
    with pytest.raises(StoreError, match="is written by another recorder"):
        open_store(dsn, write=True)
    first.close()


def test_the_server_that_is_recorded_takes_no_memory_of_itself(reader: Reader, dsn: str) -> None:
    database = open_store(dsn, write=True)
    one = snapshot(EIGHT, pool(1))
    itself = replace(one, facts=replace(one.facts, server=replace(one.facts.server, started=database.started)))
    made = Recorder(database)
    with pytest.raises(StoreError, match="is on the server that is recorded"):
        made.take([itself])
    made.close()


def test_a_size_that_cannot_be_told_takes_nothing_away(reader: Reader, dsn: str) -> None:
    database = open_store(dsn, write=True)
    before = database.rows("select count(*) as n from life")[0][0]
    assert database.size() is None
    assert Retention(most_bytes=1).trim(database, (EIGHT // 1000) + 86_400_000, at_once=True)
    assert database.rows("select count(*) as n from life")[0][0] == before
    database.close()


def test_it_is_trimmed_as_a_file_is(reader: Reader, dsn: str) -> None:
    database = open_store(dsn, write=True)
    assert Retention(keep=1).trim(database, (EIGHT // 1000) + 3 * 86_400_000, at_once=True)
    assert database.rows("select count(*) as n from life where level < 99")[0][0] == 0
    database.close()


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    with pytest.raises(StoreError, match="could not be opened") as caught:
        open_store("postgresql://app:sesame@127.0.0.1:1/x", write=True)
    assert "sesame" not in str(caught.value) + (caught.value.detail or "")
