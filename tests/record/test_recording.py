"""What a recorder was shown, a reader tells: lives, states, gaps, limits, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgusher.model.past import ALL
from pgusher.model.server import Attempt, Limit, Rung
from pgusher.model.session import Session
from pgusher.record.database import StoreError
from pgusher.record.reading import Reader
from pgusher.record.recorder import Recorder
from pgusher.record.store import open_store
from tests.record.days import EIGHT, PORT, SECOND, Clock, pool, recorder, session, snapshot


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep/record.db"


_readers: list[Reader] = []


def read(path: Path) -> Reader:
    _readers.append(Reader(open_store(str(path))))
    return _readers[-1]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """From Python 3.13 on, a connection to SQLite that nobody has closed is a warning."""
    yield
    while _readers:
        _readers.pop().close()


def take(made: Recorder, second: int, held: list[tuple[Session, str]], **more: Any) -> None:
    made.take([snapshot(EIGHT + second * SECOND, held, **more)])


class TestAMoment:
    def test_it_has_who_was_there_as_the_last_look_before_it_showed(self, path: Path) -> None:
        made = recorder(path)
        for second in range(10):
            take(made, second, pool(3) + (pool(2, "cron/report", 500) if 3 <= second < 6 else []))
        made.close()
        reader = read(path)
        counts = [reader.moment(PORT, EIGHT + ms * 1000).taken for ms in (0, 2999, 3000, 5999, 6000, 9500)]
        assert counts == [3, 3, 5, 5, 3, 3]
        moment = reader.moment(PORT, EIGHT + 4 * SECOND)
        assert moment.seen is not None
        one = moment.lives[-1]
        assert (one.holder, one.pid, one.user, one.client, one.port) == ("cron/report", 501, "app", "127.0.0.1", 40501)
        assert (one.since, one.until) == (EIGHT + 3 * SECOND, EIGHT + 6 * SECOND)
        assert one.process == 9050
        assert [link.evidence for link in reader.chain(one.chain)][1] == "owns the socket"

    def test_what_nobody_looked_at_is_unknown_and_not_zero(self, path: Path) -> None:
        made = recorder(path)
        take(made, 0, pool(3) + pool(1, "cron/report", 500))
        take(made, 100, pool(3))
        made.close()
        reader = read(path)
        moment = reader.moment(PORT, EIGHT + 50 * SECOND)
        assert moment.seen is None
        assert moment.before is not None
        assert moment.after is not None
        assert (moment.before.until, moment.after.since) == (EIGHT + SECOND, EIGHT + 100 * SECOND)
        assert {one.holder for one in moment.lives} == {"unit/web"}  # these three lived through it
        assert [one.state for one in moment.lives] == [None] * 3
        assert reader.moment(PORT, EIGHT + 200 * SECOND).lives == ()
        assert reader.moment(PORT, EIGHT - SECOND).lives == ()

    def test_a_look_that_saw_nothing_ends_what_was_seen(self, path: Path) -> None:
        made = recorder(path)
        take(made, 0, pool(3))
        take(made, 1, [], rung=Rung.NONE)
        take(made, 2, pool(3))
        made.close()
        reader = read(path)
        assert [reader.moment(PORT, EIGHT + ms * 1000).seen is None for ms in (500, 1500, 2500)] == [False, True, False]

    def test_titles_are_another_span_and_the_same_sessions(self, path: Path) -> None:
        made = recorder(path)
        take(made, 0, pool(2))
        take(made, 1, [(s, h) for s, h in pool(2, backend_start=None)], rung=Rung.TITLES)
        made.close()
        reader = read(path)
        assert [span.rung for at in (0, 1) if (span := reader.moment(PORT, EIGHT + at * SECOND).seen)] == [
            "held connection", "process titles"
        ]  # fmt: skip
        assert len(list(reader.lives(PORT, EIGHT, EIGHT + 9 * SECOND))) == 2

    def test_a_pid_that_is_another_session_is_another_life(self, path: Path) -> None:
        made = recorder(path)
        take(made, 0, [session(7, backend_start=EIGHT - 5)])
        take(made, 1, [session(7, backend_start=EIGHT + 5)])
        made.close()
        lives = list(read(path).lives(PORT, EIGHT, EIGHT + 9 * SECOND))
        assert [life.until for life in lives] == [EIGHT + SECOND, None]

    @pytest.mark.parametrize("again", [False, True], ids=["it goes on", "it was started again"])
    def test_a_clock_that_is_set_back_makes_no_session_two(self, path: Path, again: bool) -> None:
        made = recorder(path, clock := Clock())
        for second in range(100):
            clock.now = second
            gone = (
                pool(1, "cron/short", 500) if 20 <= second < 60 else pool(1, "cron/later", 600) if second > 70 else []
            )
            take(made, second, pool(10) + gone)
        if again:
            made.close()
            made = recorder(path, clock)
        for second in range(100, 120):
            clock.now = second
            take(made, second - 60, pool(10, state="active"))
        made.close()
        reader = read(path)
        taken = [
            (m.seen is not None, m.taken)
            for at in (10, 30, 39, 45, 59)
            for m in [reader.moment(PORT, EIGHT + at * SECOND)]
        ]
        assert taken == [(True, 10), (True, 11), (True, 11), (True, 10), (True, 10)]
        assert reader.moment(PORT, EIGHT + 80 * SECOND).seen is None
        assert reader.moment(PORT, EIGHT + 55 * SECOND).lives[0].state == "active"
        everybody = reader.peaks(PORT, EIGHT - SECOND, EIGHT + 200 * SECOND)[0]
        assert (everybody.most, everybody.opened, everybody.ended) == (11, 1, 1)

    def test_for_the_sake_of_a_clock_that_was_wrong_nothing_is_given_up(self, path: Path) -> None:
        made = recorder(path)
        take(made, 0, pool(3))
        take(made, 1, pool(3))
        take(made, -400 * 24 * 3600, pool(3))
        take(made, 30, pool(3))
        made.close()
        moment = read(path).moment(PORT, EIGHT + SECOND)
        assert moment.seen is not None
        assert moment.taken >= 3

    def test_the_states_that_lasted_are_told(self, path: Path) -> None:
        made = recorder(path, clock := Clock())
        for second in range(700):
            clock.now = second
            state = (
                "active" if second < 20 else "idle in transaction" if second >= 600 else ("idle", "active")[second % 2]
            )
            take(made, second, [session(7, state=state)])
        take(made, 700, [])
        made.close()
        reader = read(path)
        at = [reader.moment(PORT, EIGHT + second * SECOND).lives[0] for second in (5, 300, 650)]
        assert [one.state for one in at] == ["active", "in use", "idle in transaction"]
        assert at[2].state_since == EIGHT + 600 * SECOND

    def test_hundreds_of_turns_are_packed_and_none_is_lost(self, path: Path) -> None:
        made = recorder(path, clock := Clock())
        for number in range(150):
            clock.now = 40.0 * number
            for second in range(0, 40, 2):
                take(made, number * 40 + second, [session(7, state=("idle", "active")[number % 2])])
        reader = read(path)
        life = next(iter(reader.lives(PORT, EIGHT, EIGHT + 20_000 * SECOND)))
        made.close()
        told = [state for _, state in reader.turns(PORT, life) if state is not None]
        assert len(told) == 150
        assert told == ["idle", "active"] * 75

    def test_a_holder_that_was_seen_stays_when_its_client_is_gone(self, path: Path) -> None:
        from pgusher.model.holder import Chain, ChainEnd
        from pgusher.model.values import replace

        made = recorder(path)
        take(made, 0, [session(7, "cron/report")])
        after = snapshot(EIGHT + SECOND, [session(7, "gone")])
        chain = Chain(7, after.chains[0].backend_start, ChainEnd.GONE, "gone")
        made.take([replace(after, chains=(chain,))])
        made.close()
        assert read(path).moment(PORT, EIGHT + SECOND).lives[0].holder == "cron/report"


class TestFigures:
    def test_peaks_of_hours_that_are_summed_up_and_of_those_that_are_not(self, path: Path) -> None:
        made = recorder(path, clock := Clock())
        for number in range(0, 2 * 3600 + 900, 5):
            clock.now = float(number)
            peak = 3600 <= number - 600 < 3660 or number == 7300
            made.take([snapshot(EIGHT + number * SECOND, pool(4) + (pool(9, "cron/report", 500) if peak else []))])
        reader = read(path)
        made.close()
        for since, at in ((0, 4200), (7200, 7300)):
            peaks = reader.peaks(PORT, EIGHT + since * SECOND, EIGHT + 8100 * SECOND)
            assert [(one.holder, one.most, one.least) for one in peaks] == [
                (ALL, 13, 4), ("cron/report", 9, 0), ("unit/web", 4, 4)
            ]  # fmt: skip
            assert peaks[1].at == EIGHT + at * SECOND
            assert (peaks[1].now, peaks[2].now) == (0, 4)
            assert peaks[2].mean == pytest.approx(4)

    def test_a_series_has_each_minute_and_knows_what_nobody_looked_at(self, path: Path) -> None:
        made = recorder(path)
        for second in (*range(61), *range(240, 300)):
            take(made, second, pool(2))
        made.close()
        total, web = read(path).series(PORT, EIGHT, EIGHT + 300 * SECOND)
        assert (total.holder, web.holder) == (ALL, "unit/web")
        assert total.most == web.most == (2, 2, None, None, 2)  # the last look counts for one second more

    def test_nothing_is_told_of_a_time_that_nobody_looked_at(self, path: Path) -> None:
        made = recorder(path)
        take(made, 0, pool(2))
        made.close()
        assert read(path).peaks(PORT, EIGHT + 3600 * SECOND, EIGHT + 7200 * SECOND) == ()


class TestLimitsAndRefusals:
    def test_limits_are_kept_when_they_change(self, path: Path) -> None:
        made = recorder(path)
        for second, slots in enumerate((100, 100, 200)):
            take(made, second, [], slots=slots)
        made.close()
        made = recorder(path)
        take(made, 3, [], slots=200)
        made.close()
        reader = read(path)
        found = [reader.ceiling(PORT, EIGHT + second * SECOND) for second in (-1, 1, 3)]
        assert [one and one.max_connections for one in found] == [None, 100, 200]
        assert found[2] is not None
        assert found[2].since == EIGHT + 2 * SECOND

    def test_what_was_taken_of_the_limits_of_roles_and_databases_at_a_moment(self, path: Path) -> None:
        made = recorder(path)
        roles, databases = (Limit("app", 10, 4), Limit("batch", 2, 1)), (Limit("shop", 3, 0),)
        for second in range(4):
            more = [session(7, "cron/report", user="batch")] if second >= 2 else []
            take(made, second, [*pool(4), *more], limits=(roles, databases))
        take(made, 100, pool(4))
        made.close()
        reader = read(path)
        moment = reader.moment(PORT, EIGHT + 3 * SECOND)
        assert moment.limits == (
            ("role", Limit("batch", 2, 1)), ("role", Limit("app", 10, 4)), ("database", Limit("shop", 3, 0))
        )  # fmt: skip
        assert ("role", Limit("batch", 2, 0)) in reader.moment(PORT, EIGHT + SECOND).limits
        assert reader.moment(PORT, EIGHT + 50 * SECOND).limits == (), "nobody looked"
        assert reader.moment(PORT, EIGHT + 100 * SECOND).limits == (), "there were none any more"

    def test_refusals_in_a_row_are_one_with_their_number(self, path: Path) -> None:
        made = recorder(path)
        words = "sorry, too many clients already"
        again = Attempt("user=app", words, "53300", "postgres")
        for second in range(3):
            take(made, second, [], rung=Rung.TITLES, attempts=(Attempt("user=app", words, "53300", "postgres"), again))
        take(made, 300, [], rung=Rung.TITLES, attempts=(again, Attempt("user=app", "no password supplied")))
        made.close()
        found = read(path).refusals(PORT, EIGHT, EIGHT + 900 * SECOND)
        assert [(one.count, one.sqlstate, one.source) for one in found] == [(4, "53300", "own probe")]

    def test_what_the_server_counted_itself_is_told(self, path: Path) -> None:
        made = recorder(path)
        for second in range(5):
            take(made, second, [], opened=1000 + 10 * second)
        made.close()
        assert read(path).opened(PORT, EIGHT, EIGHT + 60 * SECOND) == 40

    def test_years_in_which_nobody_looked_cost_nothing(self, path: Path) -> None:
        made = recorder(path)
        for second in range(5):
            take(made, second, pool(3 + second))
        made.close()
        found = read(path).peaks(PORT, 0, EIGHT + 60 * SECOND)
        assert [(one.most, one.opened, one.ended, one.now) for one in found] == [(7, 4, 0, 7)] * 2
        assert found == read(path).peaks(PORT, EIGHT - SECOND, EIGHT + 60 * SECOND)

    def test_of_a_span_that_is_cut_count_those_that_were_seen_to_come(self, path: Path) -> None:
        made = recorder(path)
        for second in range(100):
            take(made, second, pool(1 + second // 20), opened=1000 + 10 * second)
        made.close()
        reader = read(path)
        assert reader.opened(PORT, EIGHT - SECOND, EIGHT + 30 * SECOND) == 1
        assert reader.opened(PORT, EIGHT + 30 * SECOND, EIGHT + 70 * SECOND) == 2
        assert reader.opened(PORT, EIGHT + 30 * SECOND, EIGHT + 900 * SECOND) == 3
        assert reader.opened(PORT, EIGHT + 500 * SECOND, EIGHT + 900 * SECOND) is None


class TestAnotherRecorder:
    def test_it_goes_on_with_the_sessions_that_are_still_there(self, path: Path) -> None:
        made = recorder(path)
        take(made, 0, pool(2) + pool(1, "cron/report", 500))
        made.close()
        made = recorder(path)
        take(made, 60, pool(2))
        made.close()
        lives = list(read(path).lives(PORT, EIGHT, EIGHT + 99 * SECOND))
        assert [(life.holder, life.until) for life in lives] == [
            ("unit/web", None), ("unit/web", None), ("cron/report", EIGHT + SECOND)
        ]  # fmt: skip

    def test_there_is_one_at_a_time(self, path: Path) -> None:
        first = recorder(path)
        with pytest.raises(StoreError, match="is written by another recorder, process"):
            recorder(path)
        first.close()
        recorder(path).close()


class TestAStore:
    def test_one_of_a_newer_version_is_refused(self, path: Path) -> None:
        made = open_store(str(path), write=True)
        made.run("update meta set value = '99'")
        made.commit()
        made.close()
        for write in (False, True):
            with pytest.raises(StoreError, match="is of version 99, this pgusher knows 1"):
                open_store(str(path), write=write)

    def test_one_that_is_not_there_is_told(self, path: Path) -> None:
        with pytest.raises(StoreError, match="is not there: nothing was recorded"):
            open_store(str(path))

    def test_a_file_that_is_none_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "x.db").write_bytes(b"no database at all, but a text of some length" * 20)
        for write in (False, True):
            with pytest.raises(StoreError, match="not a database"):
                open_store(str(tmp_path / "x.db"), write=write)

    def test_a_server_that_it_does_not_know_is_told_with_those_that_it_does(self, path: Path) -> None:
        made = recorder(path)
        take(made, 0, [])
        made.close()
        with pytest.raises(StoreError, match="has nothing of port 1") as caught:
            read(path).moment("port 1", EIGHT)
        assert caught.value.detail == "it has: port 5432"
