"""What is written to the log about a run: who, what for, what was meant, what was done, what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pgusher.model import codec
from pgusher.model.address import Micros
from pgusher.model.plan import Lever, Outcome, Plan, Step
from pgusher.model.redact import redact_text
from pgusher.remedy.act.log import Log


class Record:
    """The lines of one run."""

    def __init__(self, log: Log, plan: Plan, run: str, now: Callable[[], Micros], actor: Mapping[str, object]) -> None:
        """`run`: a word that its lines have in common; `actor`: as `who`."""
        self._log = log
        self._plan = plan
        self._run = run
        self._now = now
        self._actor = dict(actor)

    def begin(self, steps: Sequence[Step]) -> None:
        """That it begins. Raises LogError: then nothing may be done."""
        server = {"host": self._plan.server.host, "port": self._plan.server.port, "started": self._plan.server.started}
        self._log.add(self._line("begin", steps=[step.number for step in steps], server=server))

    def intents(self, steps: Iterable[Step]) -> None:
        """What will be done next, each with the identity it acts on. Raises LogError."""
        self._log.add(*(self._line("intent", step, **_identity(step)) for step in steps))

    def members(self, step: Step, members: Iterable[tuple[int, int]]) -> None:
        """The processes that go with one: a further run must find them when their root is gone. Raises LogError."""
        self._log.add(self._line("tree", step, members=[list(one) for one in members]))

    def outcomes(self, outcomes: Iterable[Outcome], steps: Mapping[int, Step]) -> None:
        """What was done, and what was seen after. Raises LogError."""
        self._log.add(
            *(
                self._line(
                    "outcome",
                    steps[one.step],
                    outcome=one.kind.value,
                    text=redact_text(one.text),
                    seen_after=redact_text(one.seen_after),
                    **_identity(steps[one.step]),
                )
                for one in outcomes
            )
        )

    def end(self) -> None:
        """That it came to its end. Raises LogError."""
        self._log.add(self._line("end"))

    def left(self, step: Step) -> list[tuple[int, int]]:
        """The processes (pid, start) that earlier runs of the plan found in the tree of this step."""
        found = []
        for entry in self._log.entries(
            lambda entry: (
                (entry.get("kind"), entry.get("plan"), entry.get("made_at"), entry.get("step"))
                == ("tree", self._plan.id, self._plan.made_at, step.number)
            )
        ):
            members = entry.get("members")
            if isinstance(members, list) and entry.get("boot_id") == (step.process and step.process.boot_id):
                found += [
                    (one[0], one[1])
                    for one in members
                    if isinstance(one, list) and len(one) == 2 and all(type(part) is int for part in one)
                ]
        return found

    def _line(self, kind: str, step: Step | None = None, **more: Any) -> dict[str, object]:
        at = self._now()
        line: dict[str, object] = {"kind": kind, "at": at, "time": _iso(at), "run": self._run, "plan": self._plan.id}
        line["made_at"] = self._plan.made_at
        line["who"] = self._actor
        if step is not None:
            line["step"] = step.number
            line["lever"] = step.lever.value
            line["what"] = redact_text(step.text)
            line["holder"] = step.holder
            line["why"] = redact_text(step.why)
            line["finding"] = step.finding
            line["safety"] = step.safety.value
            if step.process is not None:
                line["boot_id"] = step.process.boot_id
        line.update(more)
        return line


def _identity(step: Step) -> dict[str, object]:
    """Whom it acts on, as the plan has it."""
    found: dict[str, object] = {}
    if step.sessions:
        found["sessions"] = codec.dump(step.sessions)
    if step.process is not None:
        found["process"] = codec.dump(step.process)
        found["process"]["command"] = redact_text(step.process.command)  # type: ignore[index]
    if step.lever in {Lever.LIMIT, Lever.TIMEOUTS}:
        found["settings"] = codec.dump(step.settings)
    if step.source is not None:
        found["source"] = codec.dump(step.source)
    return found


def _iso(at: Micros) -> str:
    from datetime import UTC, datetime  # late: only who acts needs it

    return datetime.fromtimestamp(at / 1_000_000, UTC).isoformat(timespec="milliseconds")
