"""A plan over the screen: what would be done, the command to type; and a button only where acts were allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from pgusher.errors import PgusherError
from pgusher.model.text import clean


class PlanScreen(ModalScreen[None]):
    """One plan. Escape leaves it; nothing is done by leaving."""

    CSS = """
    PlanScreen { align: center middle; background: ansi_default; }
    #plan { width: 90%; max-width: 120; height: auto; max-height: 90%; border: ascii $foreground; padding: 1 2; }
    #buttons { height: 1; margin-top: 1; }
    Button { margin-right: 2; height: 1; border: none; min-width: 12; background: ansi_default; color: ansi_default; }
    Button:focus { border: none; text-style: reverse bold; background: ansi_default; color: ansi_default; }
    """
    BINDINGS: ClassVar[list[Any]] = [Binding("escape,q", "leave", "leave it")]

    def __init__(self, plan: Mapping[str, Any], name: str, apply: Callable[[str], dict[str, Any]] | None) -> None:
        """`apply` does the safe steps; None where the screen only shows."""
        super().__init__()
        self._plan = plan
        self._name_of = name
        self._apply = apply

    def compose(self) -> ComposeResult:
        """The text, then the buttons, Cancel first."""
        with VerticalScroll(id="plan"):
            yield Static(plan_text(self._plan, self._name_of), id="text", markup=False)
            with Horizontal(id="buttons"):
                # As texts: in a label "[ Cancel ]" would be a tag of markup, and nothing would be seen of it.
                yield Button(Content("[ Cancel ]"), id="cancel")
                if self._apply is not None and self._safe():
                    yield Button(Content(f"[ Do the {self._safe()} safe ]"), id="apply")

    def on_mount(self) -> None:
        """Who presses Enter without looking has done nothing."""
        self.query_one("#cancel", Button).focus()

    def _safe(self) -> int:
        return sum(step["safety"] == "safe" for step in self._plan["steps"])

    def action_leave(self) -> None:
        """Nothing is done."""
        _ = self.dismiss()  # not awaited: we are in a handler of the screen that goes

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Cancel, or do."""
        if event.button.id != "apply":
            _ = self.dismiss()  # not awaited: we are in a handler of the screen that goes
            return
        event.button.disabled = True
        self._do()

    @work(thread=True, exclusive=True)
    def _do(self) -> None:
        assert self._apply is not None  # noqa: S101 - without it there is no button
        try:
            text = applied_text(self._apply(str(self._plan["id"])))
        except PgusherError as error:
            text = f"{error}\n{error.detail or ''}\n{error.hint or ''}".strip()
        self.app.call_from_thread(self.query_one("#text", Static).update, clean_lines(text))


def plan_text(plan: Mapping[str, Any], name: str) -> str:
    """The plan as lines."""
    if not plan["steps"]:
        lines = [f"nothing to do about {name}"]
    else:
        lines = [f"plan {plan['id']} for {name}: {plan['back']} slots would come back; nothing was done"]
    for step in plan["steps"]:
        loses = f"; loses {step['loses']}" if step["loses"] else ""
        lines += ["", f"{step['number']}. {step['text']}", f"   {step['safety']}{loses}"]
    lines += ["", *(f"left alone: {one['what']}: {one['why']}" for one in plan["spared"])] if plan["spared"] else []
    lines += ["", *(f"{one['command']}   # {one['reason']}" for one in plan["next"])]
    return clean_lines("\n".join(lines))


def applied_text(done: Mapping[str, Any]) -> str:
    """What was done, and what was seen after."""
    lines = [f"step {one['step']}: {one['outcome']}: {one['text']}" for one in done["outcomes"]]
    verdict = done["verdict"]
    more = [*verdict["detail"], verdict["proof"] or "", verdict["hint"] or ""]
    return "\n".join([*lines, "", verdict["text"], *(line for line in more if line)])


def clean_lines(text: str) -> str:
    """Harmless, line by line."""
    return "\n".join(clean(line) for line in text.split("\n"))
