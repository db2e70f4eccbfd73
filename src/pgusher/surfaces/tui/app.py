"""The application: it draws the newest look, and does what the keys say. It ends nothing unless it was allowed to."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Footer, Input, Static

from pgusher.errors import PgusherError
from pgusher.model.values import replace
from pgusher.surfaces.render import words
from pgusher.surfaces.render.letters import assign
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.shell import quote
from pgusher.surfaces.tui import view
from pgusher.surfaces.tui.back import FAR, STEP, Ask, of_then, when_words
from pgusher.surfaces.tui.keep import Kept
from pgusher.surfaces.tui.plan import PlanScreen
from pgusher.surfaces.tui.style import STYLE

if TYPE_CHECKING:
    from pgusher.app.live import Moment
    from pgusher.app.served import Served
    from pgusher.app.then import Then
    from pgusher.model.address import Micros
    from pgusher.model.findings import Diagnosis
    from pgusher.model.holder import Chain, Holder
    from pgusher.model.snapshot import Snapshot

_LETTERS = 1000
_SEATS = 46
"""Columns of the seat map: three blocks of ten, and their numbers."""
_NARROW = 100
"""Under this width the map stands above the table."""


class Watch(App[None]):
    """The screen of `pgusher watch`."""

    CSS = STYLE
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Any]] = [
        Binding("q", "quit", "quit"),
        Binding("space", "pause", "pause"),
        Binding("left", "earlier", "back", key_display="<-", priority=True),
        Binding("right", "later", "on", key_display="->", priority=True),
        Binding("left_square_bracket", "far(-1)", "10 min", key_display="[", show=False),
        Binding("right_square_bracket", "far(1)", "10 min", key_display="]", show=False),
        Binding("t", "time", "time"),
        Binding("end", "now", "now", priority=True, show=False),
        Binding("s", "sort", "sort"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("escape", "unfilter", "all", show=False),
        Binding("c", "copy", "copy"),
        Binding("f", "plan", "plan"),
        Binding("n", "server", "server"),
    ]

    def __init__(self, served: Served, *, repeat: str = "pgusher", unicode: bool = True, colour: bool = True) -> None:
        """`repeat`: the command with its connection options; `unicode`, `colour`: what the terminal can show."""
        super().__init__(ansi_color=True)
        self._served = served
        self._repeat = repeat
        self._unicode = unicode
        self._colour = colour
        self._letters: dict[str, str] = {}
        self._kept = Kept()
        self._at = 0
        """How many looks back: 0 is now."""
        self._then: Moment | None = None
        """What is shown of the store: older than all looks that are kept."""
        self._asked = 0
        """How often the store was asked: an answer to an older question is not shown."""
        self._paused = False
        self._sort = view.SORTS[0]
        self._only = ""
        self._server: view.Place | None = None
        """The server that is shown; None: the fullest, until anything is chosen."""
        self._chosen: str | None = None
        self._filling = False
        self._shown: dict[str, Text] = {}
        self._rows: list[view.Row] = []
        self._chain: tuple[Screen, Holder | None, list[Chain]] | None = None
        """Of what the chain that stands there was drawn."""
        self._drawn = False
        """Whether the parts of the screen are there."""

    def compose(self) -> ComposeResult:
        """The parts of the screen."""
        yield Static(id="head")
        yield Static(id="when")
        with Horizontal(id="body"):
            yield Static(id="map")
            with Vertical():
                yield Input(placeholder="only holders with ...", id="only")
                yield DataTable(id="table", cursor_type="row", zebra_stripes=False)
        yield Static(id="chain")
        yield Static(id="findings")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Shows the first look at once, then looks for newer ones."""
        table = self.query_one(DataTable)
        for title in view.COLUMNS:
            table.add_column(title, key=title)
        table.focus()
        self._drawn = True
        for one in (signal.SIGTERM, signal.SIGHUP):  # a terminal that is closed: what is ours goes with us
            with contextlib.suppress(RuntimeError, ValueError):  # not the main thread: nobody sends signals there
                asyncio.get_running_loop().add_signal_handler(one, self.exit)
        self.screen.set_class(not self._unicode, "ascii")
        self._take(self._served.live.newest())
        self.set_interval(0.2, self._look)

    def on_resize(self) -> None:
        """The map goes above the table where there is no room beside it."""
        self.screen.set_class(self.size.width < _NARROW, "narrow")
        self._show()

    # -- looks

    def _look(self) -> None:
        newest = self._served.live.newest()
        if not len(self._kept) or newest.number > self._kept[-1].number:
            self._take(newest)

    def _take(self, moment: Moment) -> None:
        self._kept.add(moment)
        if self._then is not None:
            return
        if self._at or self._paused:  # what is looked at stays; it is one further back now
            self._at = min(self._at + 1, len(self._kept) - 1)
            self._show_when()
            return
        self._show()

    def _moment(self) -> Moment | None:
        if self._then is not None:
            return self._then
        return self._kept[-1 - self._at] if len(self._kept) else None

    def _pair(self) -> tuple[Snapshot, Diagnosis] | None:
        return self._pair_of(self._moment())

    def _newest_pair(self) -> tuple[Snapshot, Diagnosis] | None:
        return self._pair_of(self._kept[-1] if len(self._kept) else None)

    def _pair_of(self, moment: Moment | None) -> tuple[Snapshot, Diagnosis] | None:
        if moment is None or moment.look is None or not moment.look.snapshots:
            return None
        # The fullest stands first in a look: by its place there a choice would wander to another server.
        places = [view.place_of(one) for one in moment.look.snapshots]
        number = places.index(self._server) if self._server in places else 0
        return moment.look.snapshots[number], moment.diagnoses[number]

    def _stay(self) -> None:
        """Stays with the server that is shown: something was chosen there."""
        pair = self._pair()
        if self._server is None and pair is not None:
            self._server = view.place_of(pair[0])

    # -- drawing

    def _show(self) -> None:
        if not self._drawn:
            return
        self._show_when()
        pair = self._pair()
        whole = Screen(max(20, self.size.width - 2), self.size.height, self._colour, self._unicode)
        if pair is None:
            self._show_nothing(whole)
            return
        snapshot, diagnosis = pair
        if len(self._letters) > _LETTERS:  # names of days ago: those that are there keep theirs
            present = {holder.name for holder in snapshot.holders}
            self._letters = {name: letter for name, letter in self._letters.items() if name in present}
        self._letters.update(assign(snapshot.holders, self._letters))
        narrow = self.size.width < _NARROW
        beside = whole if narrow else replace(whole, width=_SEATS)
        self._draw("head", view.head_of(whole, snapshot))
        self._draw("map", view.map_of(beside, snapshot, self._letters))
        self._show_table(whole, snapshot)
        self._show_chain(whole, snapshot)
        most = 3 if narrow else 4
        found = view.unjudged() if self._then is not None else view.findings_of(whole, diagnosis, most)
        self._draw("findings", found)

    def _draw(self, part: str, text: Text) -> None:
        """Draws a part of the screen that has changed; its place is reckoned anew where it has other lines."""
        known = self._shown.get(part)
        if known is not None and known == text and known.style == text.style:
            return
        self._shown[part] = text
        layout = known is None or known.plain.count("\n") != text.plain.count("\n") or not known.plain or part == "head"
        self.query_one(f"#{part}", Static).update(text, layout=layout)

    def _show_chain(self, screen: Screen, snapshot: Snapshot) -> None:
        """Draws the chain of the one that is chosen, unless it is the very same: most are, from look to look."""
        holder = snapshot.holder(self._chosen) if self._chosen is not None else None
        chains = [chain for chain in snapshot.chains if chain.holder == self._chosen]
        before, self._chain = self._chain, (screen, holder, chains)
        same = before is not None and before[:2] == (screen, holder) and len(before[2]) == len(chains)
        if same and before is not None and all(one is other for one, other in zip(before[2], chains, strict=True)):
            return
        self._draw("chain", view.chain_of(screen, snapshot, self._chosen))

    def _show_nothing(self, screen: Screen) -> None:
        moment = self._moment()
        error = moment.error if moment is not None else None
        text = screen.text(str(error)) if error is not None else "no server is seen"
        if error is not None and error.hint:
            text += "\n" + screen.text(error.hint)
        self._draw("head", Text(text))

    def _show_when(self) -> None:
        moment = self._moment()
        if moment is None:
            return
        parts = [when_words(moment, self._at, self._then is not None, self._paused)]
        if moment.error is not None:
            parts.append(f"the last look failed: {moment.error}")
        if moment.look is not None and len(moment.look.snapshots) > 1:
            places, pair = sorted(map(view.place_of, moment.look.snapshots)), self._pair()
            number = places.index(view.place_of(pair[0])) + 1 if pair is not None else 0
            parts.append(f"server {number} of {len(places)}")
        parts.append(f"sorted by {self._sort}")
        if self._only:
            parts.append(f"only {self._only!r}")
        screen = Screen(None, None, unicode=self._unicode)
        self._draw("when", Text(screen.text(", ".join(parts))))

    def _show_table(self, screen: Screen, snapshot: Snapshot) -> None:
        """Draws the rows anew, with the cursor on the same holder as before: it never jumps."""
        table = self.query_one(DataTable)
        rows = view.rows_of(
            screen, snapshot, self._letters, sort=self._sort, only=self._only, keep=self._chosen,
            then=self._then is not None,
        )  # fmt: skip
        if self._chosen is None and rows:
            self._chosen = rows[0].name
        before, self._rows = self._rows, rows
        place = next((at for at, row in enumerate(rows) if row.name == self._chosen), 0)
        if [row.name for row in rows] == [row.name for row in before] and table.cursor_row == place:
            for row, old in zip(rows, before, strict=True):
                for title, cell, known in zip(view.COLUMNS, row.cells, old.cells, strict=True):
                    if cell != known or cell.style != known.style:
                        table.update_cell(row.name, title, cell, update_width=len(cell) > len(known))
            return
        top = table.scroll_y
        self._filling = True
        try:
            table.clear()
            for row in rows:
                table.add_row(*row.cells, key=row.name)
            table.move_cursor(row=place, animate=False, scroll=False)
            table.scroll_to(y=top, animate=False)
        finally:
            self._filling = False

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another holder was chosen."""
        name = event.row_key.value
        table = self.query_one(DataTable)
        if self._filling or name is None or name == self._chosen or table.cursor_row != event.cursor_row:
            return
        if not table.is_valid_row_index(event.cursor_row):
            return
        self._chosen = name
        self._stay()
        pair = self._pair()
        if pair is not None:
            whole = Screen(max(20, self.size.width - 2), self.size.height, self._colour, self._unicode)
            self._show_chain(whole, pair[0])

    # -- keys

    def action_pause(self) -> None:
        """Stops following, or follows again."""
        self._stay()
        self._paused = not self._paused
        if not self._paused:
            self._at, self._then = 0, None
            self._asked += 1
        self._show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The keys that mean something now: while a name is typed, the arrows are the field's."""
        if action in {"earlier", "later", "now", "far", "time"} and (
            isinstance(self.focused, Input) or len(self.screen_stack) > 1
        ):
            return False
        if action == "server":
            moment = self._moment()
            return moment is not None and moment.look is not None and len(moment.look.snapshots) > 1
        return super().check_action(action, parameters)

    def action_earlier(self) -> None:
        """One look back in time, out of the store where no more are kept."""
        self._stay()
        moment = self._moment()
        if self._then is not None or self._at >= len(self._kept) - 1:
            if moment is not None:
                self._go(moment.at - STEP, -1)
            return
        self._at += 1
        self._show()

    def action_later(self) -> None:
        """One look on."""
        if self._then is not None:
            self._go(self._then.at + STEP, 1)
            return
        self._at = max(0, self._at - 1)
        self._show()

    def action_far(self, direction: int) -> None:
        """Ten minutes back or on."""
        moment = self._moment()
        if moment is not None:
            self._go(moment.at + direction * FAR, direction)

    def action_now(self) -> None:
        """Back to what is now."""
        self._at, self._paused, self._then = 0, False, None
        self._asked += 1
        self._show()

    def action_time(self) -> None:
        """Asks for a moment of the past."""
        if len(self._kept):
            _ = self.push_screen(Ask(self._kept[-1].at), lambda at: self._go(at) if at is not None else None)

    def _go(self, at: Micros, direction: int = 0) -> None:
        """Shows a moment: of the looks that are kept, else of the store."""
        if not len(self._kept):
            return
        self._stay()
        self._asked += 1
        place = self._kept.place(at) if at >= self._kept[0].at else None
        if place is not None:
            self._then, self._at = None, place
            self._show()
            return
        pair = self._newest_pair()
        if pair is None:
            self.notify("no server is seen, so none can be looked for", severity="warning")
            return
        self._ask(self._asked, at, pair[0], direction)

    @work(thread=True)
    def _ask(self, number: int, at: Micros, like: Snapshot, direction: int) -> None:
        try:
            found = self._served.then(like.facts.server.label, at, like, direction)
        except PgusherError as error:
            self.call_from_thread(self.notify, str(error), severity="error", markup=False)
            return
        self.call_from_thread(self._answered, number, found, direction)

    def _answered(self, number: int, found: Then, direction: int) -> None:
        if number != self._asked:
            return
        if found.snapshot is None:
            if direction > 0:  # up to the looks that are kept nothing was recorded
                self._then, self._at = None, len(self._kept) - 1
                self._show()
                return
            text = f"{words.iso(found.at)[:19]}Z: {found.nothing}"
            self.notify(text, severity="warning", markup=False)
            return
        if direction > 0 and found.at >= self._kept[0].at:
            self._then = None
            self._at = self._kept.place(found.at) or 0
        else:
            self._then = of_then(found)
        self._show()

    def action_sort(self) -> None:
        """The next way to sort."""
        self._sort = view.SORTS[(view.SORTS.index(self._sort) + 1) % len(view.SORTS)]
        self._show()

    def action_server(self) -> None:
        """The next server, where several were found."""
        pair, moment = self._pair(), self._moment()
        if pair is None or moment is None or moment.look is None:
            return
        places = sorted(map(view.place_of, moment.look.snapshots))
        self._server = places[(places.index(view.place_of(pair[0])) + 1) % len(places)]
        self._chosen, self._then = None, None
        self._asked += 1
        self._show()

    def action_filter(self) -> None:
        """Asks for a part of a name."""
        field = self.query_one("#only", Input)
        field.add_class("asked")
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Shows only what has it in its name, as it is typed."""
        self._only = event.value
        self._show()

    def on_input_submitted(self) -> None:
        """Back to the table, with the filter kept."""
        self.query_one("#only", Input).remove_class("asked")
        self.query_one(DataTable).focus()

    def action_unfilter(self) -> None:
        """All holders again."""
        field = self.query_one("#only", Input)
        field.value = ""
        field.remove_class("asked")
        self.query_one(DataTable).focus()

    def action_copy(self) -> None:
        """Copies the command that looks into the holder that is chosen."""
        if self._chosen is None:
            return
        command = f"{self._repeat} why {quote(self._chosen)}"
        self.copy_to_clipboard(command)
        self.notify(command, title="copied, if the terminal lets programs do so", timeout=6, markup=False)

    def action_plan(self) -> None:
        """Plans for the holder that is chosen; nothing is ended."""
        pair = self._pair()
        if self._chosen is None or pair is None or self._at or self._then is not None:
            self.notify("a plan is for what is now: End", severity="warning")
            return
        self.notify(f"planning for {self._chosen}: nothing is ended", timeout=3, markup=False)
        self._plan(self._chosen, pair[0].facts.server.label.removeprefix("port "))

    @work(thread=True, exclusive=True)
    def _plan(self, name: str, server: str) -> None:
        try:
            plan = self._served.plan(name, server)
        except PgusherError as error:
            self.call_from_thread(self.notify, str(error), severity="error", markup=False)
            return
        screen = PlanScreen(plan, name, self._served.apply if self._served.allow_actions else None)
        self.call_from_thread(self.push_screen, screen)
