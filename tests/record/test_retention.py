from __future__ import annotations

from pathlib import Path

from pgusher.record.reading import Reader
from pgusher.record.retention import Retention
from pgusher.record.store import open_store
from tests.record.days import EIGHT, PORT, SECOND, Clock, pool, recorder, session, snapshot

HOUR = 3600


def filled(path: Path, hours: int) -> None:
    """A server whose every session is another one each minute."""
    clock = Clock()
    made = recorder(path, clock)
    for number in range(hours * 60):
        clock.now = float(number * 60)
        held = [*pool(3), *(session(1000 + number * 20 + i, f"cron/job{i % 3}") for i in range(20))]
        made.take([snapshot(EIGHT + number * 60 * SECOND, held)])
    made.close()


def test_the_oldest_goes_first_until_a_file_is_small_enough(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    filled(path, 5)
    database = open_store(str(path), write=True)
    before = database.size()
    assert before is not None
    now = EIGHT // 1000 + 5 * HOUR * 1000
    Retention(most_bytes=before // 2).trim(database, now, at_once=True)
    after = database.size()
    assert after is not None
    assert after <= before // 2
    assert after > before // 8, "no more than need be"
    database.close()
    reader = Reader(open_store(str(path)))
    late = reader.moment(PORT, EIGHT + (5 * HOUR - 60) * SECOND)
    assert len(late.lives) == 23
    reader.close()


def test_a_store_that_is_small_enough_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    filled(path, 2)
    database = open_store(str(path), write=True)
    count = database.rows("select count(*) as n from life")[0][0]
    Retention().trim(database, EIGHT // 1000 + 2 * HOUR * 1000, at_once=True)
    assert database.rows("select count(*) as n from life")[0][0] == count
    database.close()


def names(path: Path) -> dict[str, int]:
    database = open_store(str(path))
    counts = {
        table: int(database.rows(f"select count(*) from {table}")[0][0]) for table in ("chain", "who", "holder", "life")
    }
    database.close()
    return counts


def test_names_that_nothing_kept_refers_to_go_too_and_are_written_anew_when_they_come_again(tmp_path: Path) -> None:
    """A host whose every run has another name must not fill its store with them."""
    path, clock = tmp_path / "record.db", Clock()
    made = recorder(path, clock, keep=1)
    day = 86_400
    for number in range(12 * 24):  # twelve days, each hour another job, and one that comes back on the last day
        job = "cron/first" if number in {0, 12 * 24 - 1} else f"cron/job{number}"
        for later in (0, 1200):
            clock.now = float(number * 3600 + later)
            at = EIGHT + (number * 3600 + later) * SECOND
            made.take([snapshot(at, [*pool(3), session(5000 + number, job)])])
    made.close()
    left = names(path)
    assert left["life"] < 60, "a day of lives, and the pool's"
    assert left["chain"] < 60, "of a day, and of the day until they are looked for"
    assert left["who"] < 60
    assert left["holder"] > 200, "their hours are kept ten times as long"
    reader = Reader(open_store(str(path)))
    last = reader.moment(PORT, EIGHT + (12 * day - 3600) * SECOND)
    assert {life.holder for life in last.lives} >= {"cron/first"}
    assert all(reader.chain(life.chain) for life in last.lives)
    reader.close()

    database = open_store(str(path), write=True)
    Retention(keep=1).trim(database, EIGHT // 1000 + 40 * day * 1000, at_once=True)
    database.close()
    assert names(path) == {"chain": 2, "who": 2, "holder": 2, "life": 4}, "the sessions that last stay"
