"""The screen as it is drawn: every width, without colour, without Unicode; the keys; and that it ends nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from pgusher.app.look import Look
from pgusher.errors import UnreachableError
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.surfaces.tui.app import Watch
from tests.surfaces import findings, worlds
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
        assert "1 looks back: End is now" in drawn(app)
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
