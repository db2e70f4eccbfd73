"""From the chosen steps to their outcomes: look, write down, signal all, wait once, write down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby

from pgusher.model.address import Micros
from pgusher.model.plan import Lever, Outcome, OutcomeKind, Plan, Step
from pgusher.model.values import dataclass, field, replace
from pgusher.remedy.act import backends, drains, processes, roles, sessions, sources
from pgusher.remedy.act.interrupted import InterruptedActError, outcomes_of
from pgusher.remedy.act.log import Log, LogError
from pgusher.remedy.act.looking import NO_SQL, look
from pgusher.remedy.act.pending import Pending
from pgusher.remedy.act.pinned import Pinned, ended, pin
from pgusher.remedy.act.record import Record
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.rules import Brake
from pgusher.remedy.act.sessions import Server, Sql
from pgusher.remedy.act.sources import Clients
from pgusher.remedy.act.statements import Target
from pgusher.remedy.act.tree import RefusedError, Tree, ancestors
from pgusher.remedy.act.who import who


def _nobody(_stage: str, _step: Step | None) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """What acting needs of the world."""

    log: Log
    sql: Sql | None = None
    """A connection to the plan's server; None when there is none: then what needs SQL fails."""
    grace: float = 5.0
    """Seconds between TERM and KILL for client processes."""
    ends_within: float = 5.0
    """Seconds for which the end of sessions, and of cancelled statements, is waited for."""
    killed_for: float = processes.KILLED_FOR
    """Seconds for which the end of client processes is waited for after KILL."""
    most: int | None = None
    """Sessions and processes that may be ended; None for all that the plan has."""
    tell: Callable[[str, Step | None], None] = _nobody
    """Told of each stage as it is reached: "checked", "intended", "stopped", "signalled", "waiting", "outcome", "done"
    ...; for progress."""
    proc: str = "/proc"
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], Micros] = field(default=lambda: time.time_ns() // 1000)
    pause: Callable[[float], None] = time.sleep
    environ: Mapping[str, str] | None = None
    refused: tuple[Outcome, ...] = ()
    """Steps that are refused by what whoever asks has seen of the server; they are written down like all others."""
    clients: Clients | None = None
    """Makes the client for a data source of Grafana's; None when there is none: then what needs it fails."""
    run: str | None = None
    """A word that the lines of this run in the log have in common; None for a new one."""


def act(plan: Plan, steps: Sequence[Step], context: Context) -> tuple[Outcome, ...]:
    """Do these steps of the plan; an outcome for each, in their order. Nothing is printed.

    What is unsafe is done as well: that it was agreed to is the caller's to know. Raises LogError when there can be no
    record, before anything was done; when the log fails later, no further step is done. Raises ValueError for two steps
    of one number, and InterruptedActError, with what is known of each step, for a KeyboardInterrupt.
    """
    if len({step.number for step in steps}) != len(steps):
        raise ValueError("two steps have one number")
    with _descriptors():
        run = _Run(plan, steps, context)
        try:
            return run.outcomes()
        except KeyboardInterrupt:
            raise InterruptedActError(run.interrupted()) from None
        finally:
            run.close()


@contextmanager
def _descriptors() -> Iterator[None]:
    """As many as we may have: each process of a tree is held by one, and a usual limit is 1,024."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


class _Run:
    """One call of `act`."""

    def __init__(self, plan: Plan, steps: Sequence[Step], context: Context) -> None:
        self._plan = plan
        self._steps = steps
        self._by_number = {step.number: step for step in steps}
        self._context = context
        self._proc = context.proc
        word = context.run or os.urandom(4).hex()
        actor = who(context.environ, context.proc)
        self._record = Record(context.log, plan, word, context.now, actor)
        self._server = None if context.sql is None else Server(context.sql, plan.server.started, context.clock)
        self._own = ancestors(os.getpid(), context.proc)
        self._brake = Brake(context.most)
        self._results: dict[int, Outcome] = {}
        self._written: set[int] = set()
        self._endings: dict[int, processes.Ending] = {}
        self._waiting: dict[int, Target] = {}
        """Sessions that were signalled, by step."""
        self._held: dict[int, Pinned] = {}
        """Their server processes, where they are processes of this host."""
        self._unlogged: LogError | None = None
        self._stages: dict[int, str] = {}
        """The last stage of each step that was begun."""

    def outcomes(self) -> tuple[Outcome, ...]:
        self._record.begin(self._steps)
        self._tell("begun")
        ready = self._ready()
        self._tell("checked")
        self._write()
        for lever, group in groupby(ready, key=lambda step: step.lever):
            steps = list(group)
            self._do(lever, steps)
            self._brake.late(sum(self._is_refused(step) for step in steps))
            self._write()
        self._wait()
        self._write()
        try:
            self._record.end()
        except LogError as error:
            self._unlogged = error
        self._tell("done")
        return tuple(self._results[step.number] for step in self._steps)

    def interrupted(self) -> tuple[Outcome, ...]:
        """What is known of each step now; what is settled is still written down."""
        with suppress(LogError):
            if new := [one for number, one in self._results.items() if number not in self._written]:
                self._record.outcomes(new, self._by_number)
        now = self._context.now()
        return outcomes_of(self._steps, self._results, self._stages, self._held, self._endings, now)

    def close(self) -> None:
        for ending in self._endings.values():
            ending.close()
        for held in self._held.values():
            held.close()

    # -- looking

    def _ready(self) -> list[Step]:
        """The steps that nothing speaks against; the others have their outcome."""
        known = {one.step: Result(one.kind, one.text, one.hint) for one in self._context.refused}
        found = {**look(self._steps, self._server), **known}
        ready = []
        for step in self._steps:
            result = self._brake.skip(step)
            if result is None:
                result = found.get(step.number)
                self._brake.tried(step, result)
            if result is None:
                ready.append(step)
            else:
                self._settle(step, result)
        return ready

    # -- doing

    def _do(self, lever: Lever, steps: list[Step]) -> None:
        """Steps of one lever that follow each other."""
        steps = self._braked(steps)
        if not steps or not self._log_intents(steps):
            return
        if lever in {Lever.TERMINATE, Lever.CANCEL}:
            self._signal_sessions(lever, steps)
        elif lever in {Lever.LIMIT, Lever.TIMEOUTS}:
            for step in steps:
                self._settle(step, roles.change(self._server, step) if self._server is not None else NO_SQL)
                self._tell("changed", step)
        elif lever is Lever.SOURCE:
            for step in steps:
                self._settle(step, sources.set_limit(self._context.clients, step.source))
                self._tell("changed", step)
        elif lever is Lever.END_PROCESS:
            for step in steps:
                self._end_process(step)
        elif lever is Lever.END_BACKEND:
            for step in steps:
                self._end_backend(step)
        else:
            for step, result in drains.drain(steps, self._proc, self._context.clock, self._context.pause):
                self._settle(step, result)
                self._tell("drained", step)

    def _braked(self, steps: list[Step]) -> list[Step]:
        """Without those that are not tried any more, as others were refused meanwhile, or the log has failed."""
        for step in steps:
            why = self._brake.stopped
            if self._unlogged is not None:
                why = Result(OutcomeKind.SKIPPED, f"not done: {self._unlogged}", self._unlogged.hint or "")
            if why is None:
                return steps
            self._settle(step, why)
        return []

    def _log_intents(self, steps: list[Step]) -> bool:
        try:
            self._record.intents(steps)
        except LogError as error:
            self._unlogged = error
            self._braked(steps)
            return False
        for step in steps:
            self._tell("intended", step)
        return True

    def _signal_sessions(self, lever: Lever, steps: list[Step]) -> None:
        server = self._server
        if server is None:  # `look` has told
            return
        targets = {}
        for step in steps:
            made = sessions.target(step.number, step.sessions[0], step)
            if isinstance(made, Target):
                targets[step.number] = made
                if lever is Lever.TERMINATE:
                    self._hold_backend(step)
        answers = server.signal(lever, list(targets.values()))
        for number, target in targets.items():
            step, answer = self._by_number[number], answers.get(number, "the server told nothing of it")
            if isinstance(answer, str):
                hint = "it may have been signalled: look again"
                self._settle(step, Result(OutcomeKind.FAILED, f"session {target.session.pid}: {answer}", hint))
                continue
            result = sessions.judge(answer, target)
            if result is None and not answer.signalled:
                result = Result(OutcomeKind.GONE, f"session {target.session.pid} is gone already")
            if result is None:
                self._waiting[number] = target
                self._tell("signalled", step)
            else:
                self._settle(step, result)

    def _hold_backend(self, step: Step) -> None:
        """Its process, to be told at once when it has ended: where it is a child of this host's postmaster."""
        session = step.sessions[0]
        if session.start_ticks is None:
            return
        held = pin(session.pid, self._proc, session.start_ticks)
        if isinstance(held, Pinned):
            self._held[step.number] = held

    def _end_process(self, step: Step) -> None:
        if step.process is None:
            self._settle(step, Result(OutcomeKind.REFUSED, "the plan does not name the process"))
            return
        held = processes.hold(step.process, self._proc, self._plan.made_at)
        earlier = self._record.left(step)
        if isinstance(held, Result) and (held.kind is not OutcomeKind.GONE or not earlier):
            self._settle(step, held)
            return
        tree = None
        try:
            root = held if isinstance(held, Pinned) else None
            tree = Tree(root, self._own, self._proc, self._context.clock, self._context.pause)
            ending = processes.Ending(tree, step.process.pid, self._context.clock, self._proc, self._context.killed_for)
            self._endings[step.number] = ending
            tree.check_root()
            tree.adopt(earlier)
            if not tree.members:
                self._settle(step, held if isinstance(held, Result) else _gone(step.process.pid))
                return
            members = ending.freeze()
            self._tell("stopped", step)
            self._record.members(step, members)
            self._tell("recorded", step)
            ending.begin(self._context.grace)
            self._tell("signalled", step)
        except RefusedError as error:
            self._settle(step, error.result)
        except LogError as error:
            if tree is not None:
                tree.thaw()
            self._unlogged = error
            self._braked([step])
        except OSError as error:
            if tree is not None:
                tree.thaw()
            reason = (error.strerror or str(error)).lower()
            self._settle(step, Result(OutcomeKind.FAILED, f"process {step.process.pid} could not be ended: {reason}"))

    def _end_backend(self, step: Step) -> None:
        if len(step.sessions) != 1:
            self._settle(step, Result(OutcomeKind.REFUSED, "the plan does not name one session for it"))
            return
        session, postmaster = step.sessions[0], self._plan.server.postmaster
        held = backends.check(session, postmaster, self._plan.made_at, self._proc)
        if isinstance(held, Result):
            self._settle(step, held)
            return
        self._held[step.number] = held
        self._tell("held", step)
        result = backends.end(session, held, postmaster.pid if postmaster else 0, self._proc)
        if result is not None:
            self._settle(step, result)
            return
        self._waiting[step.number] = Target(step.number, session, exact=True)
        self._tell("signalled", step)

    # -- waiting

    def _wait(self) -> None:
        """Once for all that was signalled."""
        endings = {number: one for number, one in self._endings.items() if number not in self._results}
        if not self._waiting and not endings:
            return
        self._tell("waiting")
        context = self._context
        waiting = {number: (self._by_number[number].lever, target) for number, target in self._waiting.items()}
        pending = Pending(
            waiting, self._held, self._server, context.clock, context.pause, context.ends_within, self._proc
        )
        processes.wait(list(endings.values()), pending.look, ended)
        for number, ending in endings.items():
            self._settle(self._by_number[number], ending.result())
        for number in self._waiting:
            if number not in self._results:
                self._settle(self._by_number[number], pending.result(number))

    # -- telling

    def _is_refused(self, step: Step) -> bool:
        outcome = self._results.get(step.number)
        return outcome is not None and outcome.kind is OutcomeKind.REFUSED

    def _settle(self, step: Step, result: Result) -> None:
        if step.number not in self._results:
            self._results[step.number] = Outcome(
                step.number, result.kind, result.text, self._context.now(), result.seen_after, result.hint
            )

    def _write(self) -> None:
        """Outcomes that are not in the log yet. What was done is told even when it cannot be written any more."""
        new = [outcome for number, outcome in self._results.items() if number not in self._written]
        if not new:
            return
        self._written.update(outcome.step for outcome in new)
        if self._unlogged is None:
            try:
                self._record.outcomes(new, self._by_number)
            except LogError as error:
                self._unlogged = error
        for outcome in new:
            if self._unlogged is not None and outcome.kind is not OutcomeKind.SKIPPED:
                hint = f"this is not in the log: {self._unlogged.message}"
                self._results[outcome.step] = replace(outcome, hint=f"{outcome.hint}; {hint}".removeprefix("; "))
            self._tell("outcome", self._by_number[outcome.step])

    def _tell(self, stage: str, step: Step | None = None) -> None:
        if step is not None:
            self._stages[step.number] = stage
        self._context.tell(stage, step)


def _gone(pid: int) -> Result:
    return Result(OutcomeKind.GONE, f"process {pid} is gone already")
