from __future__ import annotations

from collections.abc import Iterable

from pgusher.app.refused import Refused
from pgusher.model.refusals import LoggedRefusals
from pgusher.model.snapshot import Snapshot
from tests.surfaces import worlds

FULL = worlds.incident()
LABEL = FULL.facts.server.label


class Logs:
    """What a log says, look by look; None: it cannot be read then."""

    def __init__(self, *news: tuple[LoggedRefusals, ...] | None) -> None:
        self.news = list(news)
        self.now: tuple[LoggedRefusals, ...] | None = None
        self.closed = False

    def read(self, _snapshot: Snapshot) -> Iterable[LoggedRefusals]:
        self.now = self.news.pop(0)
        return self.now or ()

    def follows(self, _snapshot: Snapshot) -> bool:
        return self.now is not None

    def close(self) -> None:
        self.closed = True


def of(count: int, ceiling: str | None = "ordinary slots", words: str = "no slot") -> LoggedRefusals:
    return LoggedRefusals(count, words, "server.log", "53300", ceiling)


def test_each_refusal_is_counted_once_and_handed_to_the_recorder_once() -> None:
    refused = Refused(Logs((), (of(3), of(1, None)), (of(2),)))
    assert refused.totals(LABEL) is None, "not looked yet"
    refused.look([FULL])
    assert refused.totals(LABEL) == {}
    refused.look([FULL])
    refused.look([FULL])
    assert refused.totals(LABEL) == {"ordinary slots": 5, None: 1}
    assert [one.count for one in refused.take(FULL)] == [3, 1, 2]
    assert refused.take(FULL) == ()
    assert refused.totals(LABEL) == {"ordinary slots": 5, None: 1}


def test_a_log_that_cannot_be_read_for_a_while_loses_no_count_and_one_that_never_could_has_none() -> None:
    refused = Refused(Logs(None, (of(3),), None))
    refused.look([FULL])
    assert refused.totals(LABEL) is None
    refused.look([FULL])
    refused.look([FULL])
    assert refused.totals(LABEL) == {"ordinary slots": 3}


def test_what_no_recorder_takes_is_bounded() -> None:
    many = tuple(of(1, words=f"no slot for {number}") for number in range(150))
    logs = Logs(many, many, many)
    refused = Refused(logs)
    for _ in range(3):
        refused.look([FULL])
    assert len(refused.take(FULL)) == 200
    assert refused.totals(LABEL) == {"ordinary slots": 450}
    refused.close()
    assert logs.closed
