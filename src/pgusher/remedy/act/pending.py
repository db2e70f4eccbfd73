"""Sessions that were signalled: are they gone? By their processes where those are held, else by SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pgusher.collect.postgres.connect import BrokenError, QueryError
from pgusher.model.plan import Lever, OutcomeKind
from pgusher.remedy.act.pinned import Pinned, ended, read_stat
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.sessions import Server
from pgusher.remedy.act.statements import Target

_ASK_FIRST, _ASK_LAST = 0.005, 0.1
"""Seconds between two questions: most sessions end within a millisecond or two."""


class Pending:
    """What was signalled and may still be there."""

    def __init__(
        self,
        waiting: Mapping[int, tuple[Lever, Target]],
        held: Mapping[int, Pinned],
        server: Server | None,
        clock: Callable[[], float],
        pause: Callable[[float], None],
        within: float,
        proc: str = "/proc",
    ) -> None:
        """`waiting` and `held`: by step. `within`: seconds that are waited at most."""
        self._waiting = dict(waiting)
        self._all = dict(waiting)
        self._held = {number: pinned for number, pinned in held.items() if number in waiting}
        self._server = server
        self._clock = clock
        self._pause = pause
        self._within = within
        self._proc = proc
        self._deadline = clock() + within
        self._between = _ASK_FIRST
        self._ask_at = 0.0
        self._blind = ""

    def look(self, seconds: float) -> bool:
        """Look again, and wait at most so long for a change; whether there is more to wait for."""
        self._look_at_held(0.0)
        others = {number: one for number, one in self._waiting.items() if number not in self._held}
        if others and not self._blind and self._clock() >= self._ask_at:
            self._ask(others)
        if not self._waiting or self._clock() >= self._deadline:
            return False
        if self._blind and not any(number in self._held for number in self._waiting):
            return False
        if seconds > 0:
            left = min(seconds, self._between if others else seconds)
            if any(number in self._waiting for number in self._held):
                self._look_at_held(left)
            else:
                self._pause(left)
        return bool(self._waiting)

    def result(self, number: int) -> Result:
        """What became of it."""
        lever, target = self._all[number]
        session = target.session
        whose = f"session {session.pid}" + (f" ({session.user})" if session.user else "")
        if number not in self._waiting:
            if lever is Lever.CANCEL:
                return Result(OutcomeKind.DONE, f"cancelled the statement of {whose}", "", "it runs no longer")
            return Result(OutcomeKind.DONE, f"ended {whose}", seen_after=f"session {session.pid} is gone")
        if self._blind and number not in self._held:
            text = f"{whose} was signalled, and whether it ended could not be seen: {self._blind}"
            return Result(OutcomeKind.FAILED, text, "look again")
        text = f"{whose} was signalled, and is still there after {self._within:g} s"
        hint = "it ends when it next looks for signals; PostgreSQL's processes never get KILL"
        held = self._held.get(number)
        stat = None if held is None else read_stat(held.pid, self._proc)
        if held is not None and stat is not None and stat.state in "Tt":
            who = "a debugger holds it" if stat.state == "t" else "it is stopped"
            hint = f"{who}: it ends when it goes on" + (f": kill -CONT {held.pid}" if stat.state == "T" else "")
        return Result(OutcomeKind.FAILED, text, hint, "it is still there")

    def _look_at_held(self, seconds: float) -> None:
        held = {number: one for number, one in self._held.items() if number in self._waiting}
        if held:
            over = set(ended(held.values(), seconds))
            for number, one in held.items():
                if one.fileno() in over:
                    del self._waiting[number]

    def _ask(self, others: Mapping[int, tuple[Lever, Target]]) -> None:
        if self._server is None:
            self._blind = "there is no SQL"
            return
        try:
            left = self._server.left(target for _, target in others.values())
        except (QueryError, BrokenError, ValueError) as error:
            self._blind = str(error)
            return
        for number, (lever, target) in others.items():
            session = target.session
            same = number in left and (
                lever is not Lever.CANCEL or left[number] == (session.state, session.state_change)
            )
            if not same:
                del self._waiting[number]
        self._ask_at = self._clock() + self._between
        self._between = min(2 * self._between, _ASK_LAST)
