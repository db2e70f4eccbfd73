"""The screen as it is drawn: every width, without colour, without Unicode; the keys; and that it ends nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from pgusher.app.look import Look
from pgusher.app.request import Request
from pgusher.app.served import Keep, Served
from pgusher.errors import UnreachableError
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.surfaces.render import words
from pgusher.surfaces.render.letters import assign
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.tui import view
from pgusher.surfaces.tui.app import Watch
from pgusher.surfaces.tui.keep import Kept
from tests.surfaces import findings, worlds
from tests.surfaces.fakes import FakeApp
from tests.surfaces.web.site import Source

Play = Callable[[Watch, Pilot[None]], Awaitable[None]]


def source_of(*looks: Any, **more: Any) -> Any:
    source = Source(*(Look((one,), 1.0) if isinstance(one, Snapshot) else one for one in looks), **more)
    moment = source.live.newest()
    if moment.look is not None:
        source.live._moment = replace(moment, diagnoses=(findings.INCIDENT,) * len(moment.look.snapshots))
    return source


def played(play: Play, source: Any, size: tuple[int, int] = (120, 40), **more: Any) -> None:
    async def run() -> None:
        app = Watch(source, **more)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await play(app, pilot)

    asyncio.run(run())


def drawn(app: Watch) -> str:
    """What a person sees, line by line."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip) for strip in strips][:height]
    assert all(len(line) <= width + 2 for line in lines)
    return "\n".join(lines)


def row(app: Watch) -> str:
    table = app.query_one(DataTable)
    return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)


def without(snapshot: Snapshot, name: str) -> Snapshot:
    """The world after a holder has gone."""
    holder = snapshot.holder(name)
    assert holder is not None
    left = tuple(s for s in snapshot.facts.sessions if s.pid not in holder.sessions)
    return replace(
        snapshot,
        facts=replace(snapshot.facts, sessions=left),
        chains=tuple(c for c in snapshot.chains if c.holder != name),
        holders=tuple(h for h in snapshot.holders if h.name != name),
    )


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 60), (40, 15)])
def test_without_a_key_it_says_full_or_not_who_and_since_when(size: tuple[int, int]) -> None:
    async def play(app: Watch, _pilot: Pilot[None]) -> None:
        text = drawn(app)
        assert "FULL" in text
        assert "97 of 97 ordinary slots" in text
        assert "service/grafana" in text or "grafana" in text
        if size[0] >= 80:
            assert "slots" in text
            assert "q quit" in text
            assert "CRITICAL" in text

    played(play, source_of(worlds.incident()), size)


def test_without_unicode_each_sign_is_ascii() -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        assert drawn(app).isascii(), [c for c in drawn(app) if not c.isascii()]
        await pilot.press("f")
        await pilot.pause(0.3)
        assert "plan k7f3" in drawn(app)
        assert drawn(app).isascii(), [c for c in drawn(app) if not c.isascii()]

    played(play, source_of(worlds.incident()), (80, 24), unicode=False, colour=False)


def test_the_selection_stays_on_its_holder_when_others_overtake_it() -> None:
    before = worlds.incident()
    names = [holder.name for holder in before.holders]
    after = without(before, names[0])

    async def play(app: Watch, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down")
        assert row(app) == names[2]
        source.live.step()
        await pilot.pause(0.5)
        assert row(app) == names[2]
        assert names[0] not in drawn(app).replace(names[2], "")

    source = source_of(before, after)
    played(play, source)


def test_a_chosen_holder_that_goes_is_told_until_another_is_chosen() -> None:
    before = worlds.incident()
    name = before.holders[0].name

    async def play(app: Watch, pilot: Pilot[None]) -> None:
        assert row(app) == name
        source.live.step()
        await pilot.pause(0.5)
        assert row(app) == name
        assert "gone" in drawn(app)
        await pilot.press("up")
        source.live.step()
        await pilot.pause(0.5)
        assert "gone" not in drawn(app)

    source = source_of(before, without(before, name))
    played(play, source)


def test_going_back_shows_what_was_and_stays_there() -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        source.live.step()
        await pilot.pause(0.5)
        assert "OK" in drawn(app)
        await pilot.press("left")
        assert "FULL" in drawn(app)
        assert "1 look back: End is now" in drawn(app)
        source.live.step()
        await pilot.pause(0.5)
        assert "FULL" in drawn(app)
        assert "2 looks back" in drawn(app)
        await pilot.press("right")
        assert "OK" in drawn(app)
        await pilot.press("end")
        assert "looks back" not in drawn(app)

    source = source_of(worlds.incident(), worlds.quiet())
    played(play, source)


def test_pausing_holds_the_screen_and_space_goes_on() -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        source.live.step()
        await pilot.pause(0.5)
        assert "FULL" in drawn(app)
        await pilot.press("space")
        assert "OK" in drawn(app)

    source = source_of(worlds.incident(), worlds.quiet())
    played(play, source)


def test_filtering_and_sorting() -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"cron/v", "enter")
        await pilot.pause()
        table = app.query_one(DataTable)
        names = [str(key.value) for key in table.rows]
        assert "cron/version_history" in names
        assert all("cron/v" in name for name in names if name != app._chosen)
        await pilot.press("escape")
        await pilot.pause()
        assert len(table.rows) > len(names)
        await pilot.press("s")
        names = [str(key.value) for key in table.rows]
        assert names == sorted(names)
        assert "sorted by name" in drawn(app)

    played(play, source_of(worlds.incident()))


def test_copying_the_command_of_the_holder() -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        await pilot.press("c")
        assert app.clipboard == f"pgusher --port 5433 why {row(app)}"

    played(play, source_of(worlds.incident()), repeat="pgusher --port 5433")


def test_a_plan_is_shown_and_nothing_can_be_done() -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        await pilot.press("f")
        await pilot.pause(0.5)
        text = drawn(app)
        assert "nothing was done" in text
        assert "pgusher free --apply k7f3" in text
        assert "[ Do the" not in text
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert "nothing was done" not in drawn(app)

    source = source_of(worlds.incident())
    played(play, source)
    assert source.applied == []


def test_where_acts_are_allowed_cancel_has_the_focus() -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        await pilot.press("f")
        await pilot.pause(0.5)
        assert app.focused is not None
        assert app.focused.id == "cancel"
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert source.applied == []
        await pilot.press("f")
        await pilot.pause(0.5)
        await pilot.press("tab", "enter")
        await pilot.pause(0.5)
        assert source.applied == ["k7f3"]
        assert "a slot was taken" in drawn(app)

    source = source_of(worlds.incident(), allow_actions=True)
    played(play, source)


def test_a_look_that_fails_is_told_and_the_last_one_stays() -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        source.live.step()
        await pilot.pause(0.5)
        assert "the last look failed: gone away" in drawn(app)
        assert f"seen at {words.iso(worlds.NOW)[11:19]}Z" in drawn(app)  # what is shown is of the look before
        assert "FULL" in drawn(app)

    source = source_of(worlds.incident(), UnreachableError("gone away"))
    played(play, source)


def test_a_server_that_was_never_seen_is_told() -> None:
    async def play(app: Watch, _pilot: Pilot[None]) -> None:
        assert "no server was found" in drawn(app)
        assert "name one" in drawn(app)

    played(play, source_of(UnreachableError("no server was found", hint="name one")))


def test_hostile_names_are_drawn_harmless() -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        for _ in range(6):
            text = drawn(app)
            assert not any(ord(c) < 32 and c != "\n" for c in text)
            assert not any(c in text for c in "\x7f\x9b\u202e\u2066\u200b")
            await pilot.press("down")

    played(play, source_of(worlds.hostile()))


def test_a_server_that_was_chosen_stays_when_another_one_is_fuller() -> None:
    full, quiet = worlds.incident(), worlds.quiet()
    source = source_of(Look((full, quiet), 1.0), Look((quiet, full), 1.0), Look((quiet, full), 1.0))

    async def play(app: Watch, pilot: Pilot[None]) -> None:
        def shown() -> str:
            text = drawn(app)
            assert ("port 5433" in text) != ("port 5432" in text)
            return text

        assert "port 5432" in shown()
        await pilot.press("n")
        assert "port 5433" in shown()
        await pilot.press("n")
        assert "port 5432" in shown()
        assert "server 1 of 2" in shown()
        source.live.step()
        await pilot.pause(0.5)
        assert "port 5432" in shown()
        assert "server 1 of 2" in shown()
        await pilot.press("left")
        assert "port 5432" in shown()

    played(play, source)


def test_a_large_server_is_drawn() -> None:
    async def play(app: Watch, _pilot: Pilot[None]) -> None:
        assert app.query_one(DataTable).row_count == len([h for h in world.holders if h.sessions])
        assert isinstance(app.query_one("#map", Static), Static)

    world = worlds.crowd(1000, 300)
    played(play, source_of(world))


def test_what_is_kept_for_going_back_is_what_is_drawn() -> None:
    async def play(app: Watch, _pilot: Pilot[None]) -> None:
        (kept,) = [one.facts for one in (app._kept[-1].look or Look((), 0.0)).snapshots]
        assert (kept.processes, kept.sockets, kept.cron) == ((), (), ())
        assert len(kept.sessions) == len(worlds.incident().facts.sessions)

    played(play, source_of(worlds.incident()))


def recorded(tmp_path: Path) -> Any:
    """A store in which the server was full for a minute, long ago; now it is quiet."""
    full = worlds.incident()
    looks: list[Any] = [
        Look((replace(full, facts=replace(full.facts, taken_at=full.facts.taken_at + second * 1_000_000)),), 1.0)
        for second in range(0, 60, 2)
    ]
    quiet = worlds.quiet()
    quiet = replace(quiet, facts=replace(quiet.facts, server=full.facts.server))
    now: Any = Look((quiet,), 1.0)
    looker: Any = FakeApp(*looks, now)
    served = Served(Request(), looker=looker, keep=Keep(str(tmp_path / "record.db"), record=True))
    for _ in looks:
        served.live.step()
    assert served._memory is not None
    served._memory.close()
    served._memory = None
    served.live.step()
    return served


async def until(pilot: Pilot[None], app: Watch, text: str) -> None:
    for _ in range(200):
        if text in drawn(app):
            return
        await pilot.pause(0.05)
    raise AssertionError(f"no {text!r} in {drawn(app)}")


def test_further_back_than_its_own_looks_it_shows_what_was_recorded(tmp_path: Path) -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        assert "FULL" not in drawn(app)
        await pilot.press("down")
        name = row(app)
        await pilot.press("left")
        await until(pilot, app, "recorded at 2026-01-24 03:13:")
        assert "FULL" in drawn(app)
        assert "97 of 97 ordinary slots" in drawn(app)
        assert "End is now" in drawn(app)
        assert "what was wrong then is not kept" in drawn(app)
        assert row(app) == name, "the selection stays, also on a holder that held nothing then"
        assert [str(cell) for cell in app._rows[-1].cells] == ["a", "0", name, "", "", "", "", "held nothing then"]
        await pilot.press("left")
        await until(pilot, app, "recorded at 2026-01-24 03:12:5")
        source.live.step()
        await pilot.pause(0.3)
        assert "FULL" in drawn(app), "news do not take it away"
        await pilot.press("f")
        await pilot.pause(0.1)
        assert app.screen_stack[-1] is app.screen, "no plan for what is past"
        await pilot.press("end")
        await pilot.pause()
        assert "recorded" not in drawn(app)
        assert "FULL" not in drawn(app)

    source = recorded(tmp_path)
    played(play, source)


def test_a_moment_that_is_typed_is_shown(tmp_path: Path) -> None:
    async def play(app: Watch, pilot: Pilot[None]) -> None:
        await pilot.press("t", *"no", "enter")
        await pilot.pause()
        assert "cannot read that" in drawn(app)
        await pilot.press("escape", "t")
        await pilot.pause()
        app.screen.query_one(Input).value = "2026-01-24T03:12:20Z"
        await pilot.press("enter")
        await until(pilot, app, "recorded at 2026-01-24 03:12:20Z")
        await pilot.press("left_square_bracket")
        for _ in range(200):
            if app._notifications:
                break
            await pilot.pause(0.05)
        assert [one.message for one in app._notifications] == ["2026-01-24T03:02:20Z: nothing is kept of that time"]
        assert app._only == "", "what was typed there is no filter"
        assert "recorded at 2026-01-24 03:12:20Z" in drawn(app), "what is shown stays"
        await pilot.press("right_square_bracket")
        await pilot.pause(0.3)
        assert "recorded" not in drawn(app), "after what was recorded come its own looks"

    played(play, recorded(tmp_path))


def test_what_is_kept_of_looks_is_there_once_and_draws_the_same() -> None:
    world = worlds.incident()
    source = source_of(world)
    kept = Kept(most=3)
    for _ in range(5):
        kept.add(source.live.newest())
    assert len(kept) == 3
    assert kept[0].look is not None
    assert kept[-1].look is not None
    (first,), (last,) = kept[0].look.snapshots, kept[-1].look.snapshots
    for one, other in zip(first.facts.sessions, last.facts.sessions, strict=True):
        assert one is other
    assert all(one is other for one, other in zip(first.chains, last.chains, strict=True))
    assert all(one is other for one, other in zip(first.holders, last.holders, strict=True))
    assert {one.query for one in last.facts.sessions} == {None}
    whole = Screen(100, 40, True, True)
    letters = assign(world.holders, {})
    assert view.head_of(whole, last) == view.head_of(whole, world)
    assert view.map_of(whole, last, letters) == view.map_of(whole, world, letters)
    assert view.rows_of(whole, last, letters) == view.rows_of(whole, world, letters)
    name = world.holders[1].name
    assert view.chain_of(whole, last, name) == view.chain_of(whole, world, name)
    changed = replace(world.facts.sessions[0], state="active")
    busy = replace(world, facts=replace(world.facts, sessions=(changed, *world.facts.sessions[1:])))
    moment = source.live.newest()
    kept.add(replace(moment, look=Look((busy,), 1.0)))
    newest = kept[-1].look
    assert newest is not None
    assert newest.snapshots[0].facts.sessions[0].state == "active"
    assert first.facts.sessions[0].state != "active"


@pytest.mark.parametrize("one", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_told_to_end_leaves_as_by_q(one: signal.Signals) -> None:
    left = []

    async def play(app: Watch, pilot: Pilot[None]) -> None:
        assert signal.getsignal(one) != signal.SIG_DFL, "else the tests themselves would end"
        os.kill(os.getpid(), one)
        for _ in range(200):
            if app._exit:
                break
            await pilot.pause(0.02)
        left.append(app._exit)

    played(play, source_of(worlds.incident()))
    assert left == [True]
