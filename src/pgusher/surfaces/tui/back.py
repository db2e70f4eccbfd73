"""The way back in time: what is said of the moment that is shown, and the question for one."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from pgusher.app.live import Moment
from pgusher.app.look import Look
from pgusher.app.then import Then
from pgusher.model.address import Micros
from pgusher.model.findings import Diagnosis
from pgusher.record.times import moment as moment_of
from pgusher.surfaces.render import words

STEP: Micros = 10_000_000
"""So far is one step where the looks themselves are not kept."""
FAR: Micros = 600_000_000


def when_words(moment: Moment, back: int, stored: bool, paused: bool) -> str:
    """Which moment is shown, and the key that leads to now; with its day where it is out of the store."""
    if stored:
        return f"recorded at {words.iso(moment.at)[:19].replace('T', ' ')}Z: End is now"
    shown = moment.at
    if moment.error is not None and moment.look is not None and moment.look.snapshots:
        shown = moment.look.snapshots[0].facts.taken_at  # of an earlier look: this one showed nothing
    said = f"seen at {words.iso(shown)[11:19]}Z"
    if back:
        return f"{said}, {words.count(back, 'look')} back: End is now"
    return f"{said}, paused: space goes on" if paused else said


def of_then(found: Then) -> Moment:
    """What the store has of a moment, as a look."""
    if found.snapshot is None:
        raise ValueError(found.nothing)
    return Moment(0, found.at, Look((found.snapshot,), 0.0), (Diagnosis(),))


class Ask(ModalScreen[Micros | None]):
    """Asks for a moment, as `pgusher history --at` takes it. Escape leaves it."""

    CSS = """
    Ask { align: center middle; background: ansi_default; }
    #ask { width: 64; max-width: 90%; height: auto; border: ascii $foreground; padding: 1 2; }
    #at { border: none; height: 1; background: ansi_default; }
    """
    BINDINGS: ClassVar[list[Any]] = [Binding("escape", "leave", "leave it")]

    def __init__(self, now: Micros) -> None:
        """`now`: what "08:00" is looked for before."""
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        """One field."""
        with Vertical(id="ask"):
            yield Static("Who held what at", markup=False)
            yield Input(placeholder="08:00, yesterday 20:00, -30min", id="at")
            yield Static("", id="wrong", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """What is typed here is no filter."""
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The moment, or what is wrong with it."""
        event.stop()
        try:
            at = moment_of(event.value, self._now)
        except ValueError as error:
            self.query_one("#wrong", Static).update(f"cannot read that: give {error}")
            return
        _ = self.dismiss(min(at, self._now))  # not awaited: we are in a handler of the screen that goes

    def action_leave(self) -> None:
        """Nothing changes."""
        _ = self.dismiss(None)  # as above
