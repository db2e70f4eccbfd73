"""The screen of `pgusher watch` as pictures, which must not change unseen: the SVG files in golden/ beside this one.

After a change that is meant, renew them and look at them with your own eyes (any browser shows them):

    python -m tests.surfaces.tui.pictures
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from textual.pilot import Pilot

from pgusher.app.then import Then
from pgusher.errors import UnreachableError
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.surfaces.tui.app import Watch
from tests.surfaces import findings, worlds
from tests.surfaces.web.site import Source, look

GOLDEN = Path(__file__).parent / "golden"
SMALL, WIDE, WALL = (80, 24), (120, 40), (200, 60)


def full(**more: Any) -> Any:
    """The incident, with what is wrong; what is recorded is that it was quiet."""
    return _source(worlds.incident(), findings.INCIDENT, **more)


def quiet() -> Any:
    """Room to spare."""
    return _source(worlds.quiet(), findings.QUIET)


def silent() -> Any:
    """A server that answers nothing, from the first look on."""
    return Source(UnreachableError("no PostgreSQL server was found", hint="name one: -h HOST"), clock=_now)


def _now() -> float:
    return worlds.NOW / 1e6


def _source(snapshot: Snapshot, diagnosis: Any, **more: Any) -> Any:
    source: Any = Source(look(snapshot), clock=_now, **more)
    source.live._moment = replace(source.live.newest(), diagnoses=(diagnosis,))
    then = worlds.quiet(port=snapshot.facts.server.port)
    source.then = lambda _label, at, _like, _direction=0: Then(at, then)
    return source


Scene = tuple[Callable[[], Any], tuple[int, int], Sequence[str], dict[str, Any]]
"""What is looked at, the size of the terminal, the keys, and what the terminal can show."""

MONO: dict[str, Any] = {"colour": False}
ASCII: dict[str, Any] = {"colour": False, "unicode": False}

SCENES: dict[str, Scene] = {
    "full-80x24": (full, SMALL, (), {}),
    "full-120x40": (full, WIDE, (), {}),
    "full-200x60": (full, WALL, (), {}),
    "full-monochrome": (full, SMALL, (), MONO),
    "full-ascii": (full, SMALL, (), ASCII),
    "quiet": (quiet, SMALL, (), {}),
    "unreachable": (silent, SMALL, (), {}),
    "plan-allowed": (lambda: full(allow_actions=True), SMALL, ("f",), {}),
    "recorded": (full, WIDE, ("left",), {}),
    "time-asked": (full, SMALL, ("t",), {}),
}


def picture(name: str) -> str:
    """The scene as SVG, with nothing in it that differs from machine to machine."""
    make, size, keys, options = SCENES[name]
    environ = {"NO_COLOR": "1"} if options.get("colour") is False else {}
    with mock.patch.dict(os.environ, environ):
        if not environ:
            os.environ.pop("NO_COLOR", None)
        return _stable(asyncio.run(_drawn(make(), size, keys, options)))


async def _drawn(source: Any, size: tuple[int, int], keys: Sequence[str], options: dict[str, Any]) -> str:
    app = Watch(source, **options)
    async with app.run_test(size=size) as pilot:
        await _settled(app, pilot)
        for key in keys:
            await pilot.press(key)
        await _settled(app, pilot)
        app.clear_notifications()
        await _settled(app, pilot)
        return app.export_screenshot(title="pgusher watch")


async def _settled(app: Watch, pilot: Pilot[None]) -> None:
    await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()
    await pilot.pause()


def _stable(svg: str) -> str:
    """Without the number that is reckoned from the content, and the fonts that lie elsewhere."""
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.S)
    return "\n".join(line.rstrip() for line in svg.splitlines()).strip() + "\n"


def texts(svg: str) -> str:
    """What stands in a picture, line by line, to compare with the eye."""
    found: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        found.setdefault(float(y), []).append((float(x), text.replace("&#160;", " ")))
    return "\n".join("".join(text for _, text in sorted(line)) for _, line in sorted(found.items()))


def main() -> int:
    """Writes all pictures anew, and removes those of scenes that are gone."""
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.glob("*.svg"):
        if path.stem not in SCENES:
            path.unlink()
    for name in SCENES:
        (GOLDEN / f"{name}.svg").write_text(picture(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
