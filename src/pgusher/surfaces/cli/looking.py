"""Looking from the command line: once, again and again, or into a file; and what is told meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from pgusher.errors import PgusherError, UnreachableError, UsageError
from pgusher.model.values import replace
from pgusher.surfaces.cli.common import check_together, request_of
from pgusher.surfaces.cli.context import Context, Looks
from pgusher.surfaces.cli.options import Values
from pgusher.surfaces.cli.output import Output
from pgusher.surfaces.cli.staying import stays
from pgusher.surfaces.render.screen import Line, Screen
from pgusher.surfaces.render.tally import blind, tally

if TYPE_CHECKING:
    from pgusher.app.look import Look
    from pgusher.app.request import Request

PATIENCE = 0.5
"""Seconds of silence on a terminal before it is told what is waited for."""

Show = Callable[["Look"], int]
"""Shows a look and gives the exit code."""


def show_looks(values: Values, context: Context, show: Show, looker: Looks | None = None) -> int:
    """Looks as the options ask for, and shows each look. The exit code is that of the last.

    `looker` is what looks, where it is not the usual one.
    """
    check_together(values)
    if values["replay"] is not None:
        return _told(values, context, _replayed(values, context), show)
    request = request_of(values, context.app.config(values["config"]))
    looker = looker or context.app.looker(request)
    try:
        if values["watch"] is None:
            with Waiting(context, request):
                look = looker.look()
            _save(values, context, look)
            _tell(values, context, look)
            return _told(values, context, look, show)
        return _watch(values["watch"], context, request, looker.look, show)
    finally:
        looker.close()


def exit_code(look: Look) -> int:
    """1 when a server is full or a limit is reached; 3 when none could be asked; else 0."""
    if any(tally(snapshot).status.finding for snapshot in look.snapshots):
        return 1
    return 3 if look.snapshots and all(map(blind, look.snapshots)) else 0


def _replayed(values: Values, context: Context) -> Look:
    look = context.app.read(values["replay"])
    _save(values, context, look)
    port = values["port"]
    if port is None:
        return look
    if isinstance(port, str):
        raise UsageError("--from shows the servers of a file: choose one of them by one port")
    chosen = tuple(s for s in look.snapshots if s.facts.server.port == port)
    if not chosen:
        there = ", ".join(str(s.facts.server.port) for s in look.snapshots)
        raise UsageError(
            f"the snapshot holds no server on port {port}", detail=f"it holds port {there}" if there else None
        )
    return replace(look, snapshots=chosen)


def _save(values: Values, context: Context, look: Look) -> None:
    """--save FILE."""
    if values["save"] not in {None, "-"}:
        context.app.save(values["save"], look)
        context.narrate(f"saved to {values['save']}")


def _told(values: Values, context: Context, look: Look, show: Show) -> int:
    """Shows the look; with `--save -` its snapshot goes to standard output instead, and the exit code is the same."""
    if values["save"] == "-":
        if context.out.terminal:
            raise UsageError("--save - is for a pipe, and this is a terminal", hint="name a file: --save FILE")
        context.out.write(context.app.saved_text(look))
        context.out = Output(None, context.environ)
    return show(look)


def _tell(values: Values, context: Context, look: Look) -> None:
    """--verbose: what was tried on the way to a session, and how long the look took."""
    if not values["verbose"]:
        return
    for snapshot in look.snapshots:
        for attempt in snapshot.facts.view.attempts:
            code = f" (SQLSTATE {attempt.sqlstate})" if attempt.sqlstate else ""
            by = f", refused by {attempt.refused_by}" if attempt.refused_by else ""
            context.narrate(f"tried {attempt.target}: {attempt.outcome}{code}{by}")
    context.narrate(f"looked in {look.elapsed_ms:.0f} ms")


def _watch(seconds: float, context: Context, request: Request, look: Callable[[], Look], show: Show) -> int:
    """Shows a look every so many seconds until the person or the reader leaves. One connection serves them all.

    A server that does not answer is shown as that and asked again: whoever watches waits for it to come back.
    """
    stays()
    first = True
    while True:
        began = context.monotonic()
        try:
            with Waiting(context, request if first else None):
                seen = look()
        except UnreachableError as error:
            if first:
                raise
            show_error(context, error, seconds)
        else:
            show(seen)
        first = False
        if context.out.gone:
            return 0
        # From beginning to beginning: a slow look shortens the pause, but never to nothing.
        context.sleep(max(seconds / 10, seconds - (context.monotonic() - began)))


def show_error(context: Context, error: PgusherError, seconds: float) -> None:
    """A look that failed while watching, in the place of the screen that it would have given."""
    frame(context, f"{clock()}  {context.out.screen().text(error.message)}; asked again in {seconds:g} s\n")


def watch_screen(values: Values, context: Context) -> Screen:
    """The screen of one page; while watching a line of it is the watch's own."""
    screen = context.out.screen(values["color"], values["plain"], values["width"])
    if values["watch"] is None or screen.height is None:
        return screen
    return replace(screen, height=screen.height - 1)


def put(values: Values, context: Context, screen: Screen, lines: list[Line]) -> None:
    """Writes a page: once, or as one of a watch, with the time and the way out above it on a terminal."""
    page = screen.page(lines)
    if values["watch"] is None:
        context.out.write(page)
        return
    if not screen.pipe:
        page = screen.page([[(f"{clock()}  every {values['watch']:g} s, Ctrl-C ends it", "dim")]]) + page
    frame(context, page)


def frame(context: Context, page: str) -> None:
    """One page of a watch: over the one before on a terminal, below it elsewhere.

    Each line is overwritten and its old rest erased, so that nothing flickers; one write, so that nothing tears.
    """
    if not context.out.terminal or context.out.dumb:
        context.out.write(page + "\n")
        return
    height = context.out.screen().height or 24
    lines = page.splitlines()
    if len(lines) > height - 1:
        cut = f"... {len(lines) - height + 2} more lines: make the window higher"
        lines = [*lines[: height - 2], cut]
    body = "".join(line + "\x1b[K\n" for line in lines)
    context.out.write(f"\x1b[H{body}\x1b[J")


def clock() -> str:
    """The time of day where the person is."""
    return time.strftime("%H:%M:%S")


class Waiting:
    """Tells on a terminal, after half a second, what is waited for; and takes it back."""

    def __init__(self, context: Context, request: Request | None, patience: float = PATIENCE) -> None:
        self._context = context
        self._what = _target(request) if request is not None else ""
        self._patience = patience
        self._cancel: Callable[[], None] = _nothing

    def __enter__(self) -> None:
        if self._what and self._context.err.terminal and not self._context.err.dumb:
            from threading import Lock, Timer  # late: only a terminal needs them

            lock, told, over = Lock(), [False], [False]

            def tell() -> None:
                with lock:
                    if not over[0]:
                        told[0] = True
                        screen = self._context.err.screen("never")
                        text = screen.paint([(f"waiting for {self._what}, Ctrl-C ends it", "")])
                        self._context.err.write(f"{text}\r")

            def cancel() -> None:
                timer.cancel()
                with lock:
                    over[0] = True
                    if told[0]:
                        self._context.err.write("\x1b[K")

            timer = Timer(self._patience, tell)
            timer.daemon = True
            timer.start()
            self._cancel = cancel

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancel()


def _target(request: Request) -> str:
    if request.dsn or request.service:
        return "the server that was named"
    place = f"{request.host} " if request.host else ""
    if request.port is not None:
        return f"{place}port {request.port}"
    return place.strip() or "the servers of this host"


def _nothing() -> None:
    """There was nothing to tell."""
