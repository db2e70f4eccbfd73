"""Chains, sessions and checks, line by line."""

from __future__ import annotations

from dataclasses import replace

from pgusher.model.evidence import Certainty
from pgusher.model.holder import Chain, ChainEnd, Link, LinkKind
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render.chains import chain_lines, labelled, link_lines
from pgusher.surfaces.render.doctor import doctor_page
from pgusher.surfaces.render.find import find
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.sessions import View, ordered, session_table
from pgusher.surfaces.render.who import who_page
from tests.surfaces import worlds
from tests.surfaces.fakes import CHECKS, Check

TERMINAL = Screen()
INCIDENT = worlds.incident()


def chains(snapshot: Snapshot, holder: str) -> list[Chain]:
    return [chain for chain in snapshot.chains if chain.holder == holder]


def shown(lines: list, screen: Screen = TERMINAL) -> list[str]:  # type: ignore[type-arg]
    return [screen.paint(line) for line in lines]


def who(word: str | None, snapshot: Snapshot = INCIDENT, *, everything: bool = False, screen: Screen = TERMINAL) -> str:
    found = find((snapshot,), word)
    return screen.page(who_page(screen, found.matches, word, everything=everything))


def test_every_link_of_every_process_is_there_with_its_evidence() -> None:
    text = who("cron/version_history", everything=True, screen=Screen(width=400))
    for chain in chains(INCIDENT, "cron/version_history"):
        for link in chain.links:
            assert f"{link.subject}" in text
            assert f"{link.certainty.value}: {link.evidence}" in text


def test_a_link_is_written_once_however_many_sessions_have_it() -> None:
    text = who("cron/version_history", everything=True, screen=Screen(width=400))
    assert text.count("cron job */10 * * * *") == 4  # with everything, each run with its own evidence
    assert text.count("(pid 4710)") == 1
    short = who("cron/version_history", screen=Screen(width=400))
    assert short.count("cron job */10 * * * *") == 1
    assert "its command is that of /etc/cron.d/jobs:3, and 3 more like it" in short


def test_a_link_that_is_too_wide_tells_its_evidence_below() -> None:
    link = Link(LinkKind.PROCESS, "x" * 60, Certainty.LIKELY, "y" * 60)
    assert shown(link_lines(TERMINAL, link)) == [
        "  process   " + "x" * 60,
        "            likely: " + "y" * 60,
    ]
    assert shown(link_lines(Screen(width=200), link), Screen(width=200)) == [
        "  process   " + "x" * 60 + "  likely: " + "y" * 60
    ]


def test_all_wraps_what_is_cut_otherwise() -> None:
    text = "one two " * 20 + "z" * 200
    assert shown(labelled(TERMINAL, "what", text))[0].endswith("…")
    wrapped = shown(labelled(TERMINAL, "what", text, "", True))
    assert "…" not in "".join(wrapped)
    assert "".join("".join(line[12:] for line in wrapped).split()) == "".join(text.split())
    assert all(line.startswith("            ") for line in wrapped[1:])


def test_many_processes_are_summed_up() -> None:
    world = worlds.World()
    for pid in range(7000, 7030):
        world.seat("unit/many", 2, age=worlds.HOUR, links=(worlds.process_link("worker", pid),))
    lines = shown(chain_lines(TERMINAL, world.chains))
    assert lines[-1] == "  … 26 further processes with 52 sessions: --all shows them"
    assert sum("worker (pid" in line for line in lines) == 4
    assert sum("worker (pid" in line for line in shown(chain_lines(TERMINAL, world.chains, True))) == 60


def test_one_process_more_than_the_most_is_shown_rather_than_told() -> None:
    world = worlds.World()
    for pid in range(7000, 7005):
        world.seat("unit/many", 1, age=worlds.HOUR, links=(worlds.process_link("worker", pid),))
    assert not any("further" in line for line in shown(chain_lines(TERMINAL, world.chains)))


def test_a_chain_that_ends_says_where() -> None:
    for end, words in (
        (ChainEnd.REMOTE, "on another host"),
        (ChainEnd.GONE, "the client is gone, and the server has not noticed"),
        (ChainEnd.HIDDEN, "may not be read"),
        (ChainEnd.UNKNOWN, "nothing tells who holds it"),
        (ChainEnd.OWN, "this is pgusher itself"),
    ):
        lines = shown(chain_lines(TERMINAL, [Chain(1, None, end, "x")]))
        assert lines[-1].startswith("  ends      ")
        assert words in lines[-1]
    assert shown(chain_lines(TERMINAL, [Chain(1, None, ChainEnd.HOLDER, "x")])) == []


def test_conflicts_are_told_once() -> None:
    chain = Chain(1, None, ChainEnd.HOLDER, "x", conflicts=("application_name says 'web', the process is psql",))
    lines = shown(chain_lines(TERMINAL, [chain, replace(chain, pid=2)]))
    assert lines == ["  conflict  application_name says 'web', the process is psql"]


def test_sessions_at_work_come_first_and_the_rest_is_summed_up() -> None:
    lines = shown(session_table(TERMINAL, View(INCIDENT), chains(INCIDENT, "unit/grafana-server")))
    assert lines[1].split()[1] == "active"
    assert lines[-1] == "  … 50 further sessions, idle: --all shows them"
    everything = session_table(TERMINAL, View(INCIDENT), chains(INCIDENT, "unit/grafana-server"), everything=True)
    assert len(everything) == 63


def test_who_blocks_whom() -> None:
    screen = Screen(width=160)
    lines = shown(session_table(screen, View(INCIDENT), chains(INCIDENT, "unit/orders-api")), screen)
    assert any("lock of 20188 unit/orders-api" in line for line in lines)
    assert any("20188  in tx" in line for line in lines)


def test_what_is_the_same_for_all_needs_no_column() -> None:
    text = who("cron/version_history")
    assert "as        user app, database orders" in text
    assert "USER" not in text
    mixed = tuple(replace(s, user="other") if s.pid == 20162 else s for s in INCIDENT.facts.sessions)
    text = who("cron/version_history", replace(INCIDENT, facts=replace(INCIDENT.facts, sessions=mixed)))
    assert "USER" in text


def test_a_hidden_state_is_called_hidden() -> None:
    hidden = tuple(replace(s, state=None, backend_start=None) for s in INCIDENT.facts.sessions)
    text = who("terminal/anna", replace(INCIDENT, facts=replace(INCIDENT.facts, sessions=hidden)))
    assert "hidden" in text


def test_order_does_not_depend_on_what_is_unknown() -> None:
    sessions = [replace(s, backend_start=None) for s in INCIDENT.facts.sessions]
    assert [s.pid for s in ordered(sessions)] == [s.pid for s in ordered(list(reversed(sessions)))]


def test_without_a_word_there_are_no_sessions_unless_all_are_asked_for() -> None:
    assert "STATEMENT" not in who(None)
    assert "STATEMENT" in who(None, everything=True)


def test_a_number_says_as_what_it_was_read() -> None:
    assert "\n4711 is a client process, 3 sessions of cron/version_history\n" in who("4711")
    assert "\n20162 is a server process, 1 session of cron/version_history\n" in who("20162")
    assert "\nmeant\tclient process\t4711\n" in who("4711", screen=Screen(width=None))


def test_gaps_are_told_before_chains() -> None:
    text = who("grafana", worlds.half_blind())
    assert text.index("half-blind") < text.index("unit/grafana-server")


def test_a_pipe_gets_one_row_a_link_and_one_a_session() -> None:
    text = who("cron/stock_sync", screen=Screen(width=None))
    blocks = [block.splitlines() for block in text.split("\n\n")]
    assert blocks[2][0] == "holder\tpid\tlink\tleads to\tclient pid\tcertainty\tevidence"
    assert len(blocks[2]) == 1 + 4 * 4
    assert len(blocks[3]) == 1 + 4


def test_doctor_says_the_worst_first_and_how_to_open_it() -> None:
    text = TERMINAL.page(doctor_page(TERMINAL, CHECKS))
    assert text.startswith("sees 2 of 4 things whole, 1 in part, 1 not at all\n\nblind   crontabs\n")
    assert text.index("opens     sudo pgusher") < text.index("sees    server processes")


def test_doctor_when_all_is_well() -> None:
    checks = [Check("a", "sees", "b"), Check("c", "sees", "d")]
    assert TERMINAL.page(doctor_page(TERMINAL, checks)) == "sees 2 of 2 things whole\n\nsees    a: b\nsees    c: d\n"


def test_doctor_in_a_pipe_is_a_table() -> None:
    lines = Screen(width=None).page(doctor_page(Screen(width=None), CHECKS)).splitlines()
    assert lines[0] == "sight\tcheck\tfact\twhy\topens"
    assert {line.count("\t") for line in lines} == {4}


def test_each_borrowing_line_is_told_and_a_process_with_many_of_them_leaves_the_rest_to_all() -> None:
    def loan(number: int) -> Chain:
        links = (
            Link(LinkKind.PROCESS, "python orders.py (pid 5)", Certainty.PROVEN, "its socket", 5),
            Link(LinkKind.LOAN, f"thread w-{number} at orders.py:{number}", Certainty.PROVEN, "lent since then", 5),
        )
        return Chain(700 + number, None, ChainEnd.HOLDER, "script/orders.py", links)

    few = shown(chain_lines(Screen(width=400), [loan(number) for number in range(9)]))
    assert sum("thread w-" in line for line in few) == 9
    many = [loan(number) for number in range(12)]
    short = shown(chain_lines(Screen(width=400), many))
    assert sum("thread w-" in line for line in short) == 8
    assert "4 further loans: --all shows them" in short[-1]
    assert sum("thread w-" in line for line in shown(chain_lines(Screen(width=400), many, everything=True))) == 12
