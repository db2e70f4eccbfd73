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
