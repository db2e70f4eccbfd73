"""What a word means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.model.address import ClientAddress, Transport
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render.find import Found, find
from tests.diagnose.worlds import World
from tests.surfaces import worlds

INCIDENT, QUIET = worlds.incident(), worlds.quiet()


def meant(word: str | None, *snapshots: Snapshot) -> list[tuple[str, list[str], int]]:
    """Of each match: as what it was read, whose sessions, how many."""
    matches = find(snapshots or (INCIDENT,), word).matches
    return [(m.reading, [holder.name for holder in m.holders], len(m.chains)) for m in matches]


GRAFANA = [("holder", ["unit/grafana-server"], 62)]


@pytest.mark.parametrize(
    "word", ["unit/grafana-server", "grafana-server", "Grafana", "GRAFANA", "graf", "unit/g", "afana"]
)
def test_a_holder_by_its_name_a_part_of_it_or_its_program(word: str) -> None:
    assert meant(word) == GRAFANA


@pytest.mark.parametrize("word", ["cron", "cron/", "CRON"])
def test_a_kind_means_all_of_it(word: str) -> None:
    assert meant(word) == [("holder", ["cron/version_history", "cron/mail_digest", "cron/stock_sync"], 17)]


def test_no_word_means_everybody() -> None:
    assert meant(None)[0][2] == 100


def test_a_server_process() -> None:
    assert meant("20100") == [("server process", ["unit/grafana-server"], 1)]


def test_a_client_process() -> None:
    assert meant("4711") == [("client process", ["cron/version_history"], 3)]


def test_a_parent_of_it() -> None:
    assert meant("4710") == [("parent process", ["cron/version_history"], 3)]
    assert meant("2204") == [("parent process", ["unit/orders-api"], 18)]


def test_a_parent_that_no_link_names() -> None:
    """A launcher that holds nothing itself: its child does."""
    snapshot = World('[[process]]\nargv = "python3 /opt/x.py"\nsessions = [{ count = 2 }]\n').snapshot()
    facts = snapshot.facts
    client = next(p for p in facts.processes if p.argv == ("python3", "/opt/x.py"))
    launcher = replace(client, pid=4700, argv=("python3", "/opt/launch.py"))
    others = tuple(replace(p, ppid=4700) if p is client else p for p in facts.processes)
    seen = replace(snapshot, facts=replace(facts, processes=(*others, launcher)))
    assert meant("4700", seen) == [("parent process", ["script/x.py"], 2)]
    assert meant("4701", seen) == []
    assert meant("1", seen) == []  # everything is below it


def test_a_number_is_no_part_of_a_name() -> None:
    assert meant("3") == []
    assert meant("pts3") == [("holder", ["terminal/anna@pts3"], 2)]


def test_a_number_that_is_both_means_both() -> None:
    chains = tuple(replace(c, pid=4711) if c.pid == 20100 else c for c in INCIDENT.chains)
    both = replace(INCIDENT, chains=chains)
    assert [reading for reading, _, _ in meant("4711", both)] == ["server process", "client process"]


@pytest.mark.parametrize(
    ("word", "count"), [("10.0.0.7", 3), ("10.0.0.7:60112", 1), ("10.0.0.7:1", 0), ("127.0.0.1:51000", 1)]
)
def test_an_address(word: str, count: int) -> None:
    assert sum(n for _, _, n in meant(word, QUIET)) == count


@pytest.mark.parametrize("word", ["::1", "[::1]", "[::1]:7"])
def test_an_address_of_version_6(word: str) -> None:
    sessions = tuple(
        replace(s, client=ClientAddress(Transport.TCP, "::1", 7)) if s.pid == 52000 else s for s in QUIET.facts.sessions
    )
    six = replace(QUIET, facts=replace(QUIET.facts, sessions=sessions))
    assert meant(word, six) == [("client address", ["unit/shop"], 1)]


def test_an_application_name() -> None:
    assert meant("metabase", QUIET) == [("application", ["remote/10.0.0.7"], 3)]
    assert meant("taba", QUIET) == [("application", ["remote/10.0.0.7"], 3)]


def test_a_word_that_fits_several_lists_them() -> None:
    assert meant("st") == [("holder", ["cron/stock_sync"], 4)]
    found = find((INCIDENT,), "i")
    assert not found.matches
    assert len(found.candidates) > 1


def test_a_mistyped_word_is_answered_with_what_is_near() -> None:
    found = find((INCIDENT,), "garfana")
    assert not found.matches
    assert found.near[0] == "unit/grafana-server"
    assert find((INCIDENT,), "xyzzy") == Found()


def test_every_server_is_searched() -> None:
    found = find((INCIDENT, QUIET), "pgusher")
    assert [match.snapshot for match in found.matches] == [INCIDENT, QUIET]
    assert [len(match.chains) for match in find((INCIDENT, QUIET), "unit").matches] == [80, 8]


@pytest.mark.parametrize("word", ["", "/", " ", "0", "-1", "٣", "9" * 5000, "\x00", "a" * 100_000])
def test_odd_words_mean_nothing(word: str) -> None:
    assert not find((INCIDENT,), word).matches


@given(st.text(max_size=12))
def test_any_word_is_answered(word: str) -> None:
    found = find((INCIDENT, QUIET), word)
    assert not (found.matches and (found.candidates or found.near))
    assert all(match.chains for match in found.matches)
