"""Giving slots back: plan, keep the plan; later apply it, and look again. The wiring of pgusher.remedy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from pgusher.app import free_here as here
from pgusher.app.deep import Choose, DeepLooker
from pgusher.app.free_locks import read_locking
from pgusher.app.free_store import LASTS, PlanStore
from pgusher.app.free_trees import Trees
from pgusher.app.look import Look, Looker
from pgusher.app.request import Request
from pgusher.errors import PgusherError, RefusedError, UnreachableError, UsageError
from pgusher.model.address import Micros
from pgusher.model.plan import Lever, Outcome, OutcomeKind, Plan, SourceChange, Step, Verdict
from pgusher.model.values import dataclass
from pgusher.remedy.plan import Seen, Terms, Wanted, make_plan, server_identity
from pgusher.remedy.plan.fresh import grown
from pgusher.remedy.verify import ENDING, Proof, came_back, judge, meant, sees_less, still_there
from pgusher.remedy.verify.sources import pools

if TYPE_CHECKING:
    from pgusher.collect.grafana.client import Client
    from pgusher.collect.postgres.connect import Connection
    from pgusher.model.findings import Diagnosis
    from pgusher.model.snapshot import Snapshot

GRACE = 5.0
"""Seconds from TERM to KILL of a client process."""
_GONE_WITHIN = 5.0
"""Seconds that a session may take to end after its process, or after it was told to."""
_BACK_WITHIN = 4.0
"""Seconds in which a pool is watched for opening what was ended."""
_DRAINED_WITHIN = 8.0
"""Seconds that Grafana may take to close the pool that was replaced: it does so after 5."""
_PAUSE, _PAUSE_OF_WATCH = 0.05, 0.25

Progress = Callable[[str, Step | None], None]
"""Told of each stage of acting, with the step that it is about."""


def _nobody(_stage: str, _step: Step | None) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of a plan."""

    plan: Plan
    outcomes: tuple[Outcome, ...]
    verdict: Verdict
    interrupted: bool = False
    """By Ctrl-C, after something may have been done."""

    @property
    def good(self) -> bool:
        """Nothing was refused, nothing failed, and what was done was seen."""
        wrong = (OutcomeKind.REFUSED, OutcomeKind.FAILED)
        done = any(one.kind in (OutcomeKind.DONE, OutcomeKind.GONE) for one in self.outcomes)
        return (
            done
            and not self.interrupted
            and self.verdict.verified
            and not any(one.kind in wrong for one in self.outcomes)
        )


class Free:
    """One run of `pgusher free`. `close` it whatever happens."""

    def __init__(
        self,
        request: Request,
        store: PlanStore | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        log: str | None = None,
        back_within: float = _BACK_WITHIN,
    ) -> None:
        """`log`: the file that tells what was done, where it is not the usual one.

        `back_within`: seconds for which a pool is watched for opening what was ended.
        """
        self._request = request
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._log = log
        self._back_within = back_within
        self._looker = Looker(request)

    @property
    def store(self) -> PlanStore:
        """Where the plans are."""
        if self._store is None:
            self._store = PlanStore()
        return self._store

    # -- planning

    def look(self, choose: Choose | None, sample: float) -> Look:
        """A look down to the threads of the processes that `choose` names; None: to those of none.

        Raises UnreachableError.
        """
        if choose is None:
            return self._looker.look()
        return DeepLooker(self._request, choose, looker=self._looker, sample=sample).look()

    def plan(self, snapshot: Snapshot, diagnosis: Diagnosis, wanted: Wanted, settings: Sequence[Step] = ()) -> Plan:
        """The plan for one server of the last look; kept on disk when it has a step.

        Raises PgusherError when it cannot be kept.
        """
        now: Micros = int(self._clock() * 1_000_000)
        terms = Terms(
            self.store.new_id(),
            now,
            now + LASTS,
            os.geteuid(),
            here.reach_of(self._request),
            here.own_family(),
            here.pid_namespace(),
            here.postmaster_of(snapshot),
        )
        trees = Trees()
        locking = read_locking(self._looker.connection(snapshot.facts.server), self._request.timeout)
        plan = make_plan(snapshot, diagnosis, wanted, terms, settings, Seen(trees.below, locking))
        while trees.look(plan):  # what is spared for what runs below it may bring another step instead
            plan = make_plan(snapshot, diagnosis, wanted, terms, settings, Seen(trees.below, locking))
        if plan.steps:
            self.store.save(plan)
        return plan

    def settings(self, snapshot: Snapshot, limits: Iterable[tuple[str, int]], timeouts: Iterable[str]) -> list[Step]:
        """The steps that change roles. Raises UsageError for a role that there is not, or that no limit holds."""
        from pgusher.app.free_roles import read_role
        from pgusher.diagnose.case import Case
        from pgusher.remedy.plan.roles import limit_step, timeouts_step

        connection = self._looker.connection(snapshot.facts.server)
        sessions = snapshot.facts.sessions
        steps = []
        for name, most in limits:
            role = read_role(connection, name, self._request.timeout)
            if role.superuser:
                raise UsageError(f"role {name} is a superuser: no connection limit holds for it")
            steps.append(limit_step(role, most, sessions))
        for name in timeouts:
            role = read_role(connection, name, self._request.timeout)
            quiet = Case(snapshot).need("quiet")
            version = snapshot.facts.server.version_num or 0
            steps.append(timeouts_step(role, version, sessions, quiet if isinstance(quiet, dict) else {}))
        return steps

    # -- applying

    def load(self, name: str) -> Plan:
        """The plan of that name, if it may still be applied.

        Raises UsageError when there is none, RefusedError when it is too old, torn, changed or not trusted.
        """
        plan = self.store.load(name)
        if plan.uid != os.geteuid():
            raise RefusedError(f"plan {name} is of uid {plan.uid}", hint="plan anew: pgusher free")
        now = int(self._clock() * 1_000_000)
        if now > plan.expires_at:
            minutes = (now - plan.made_at) // 60_000_000
            raise RefusedError(
                f"plan {name} is {minutes} min old: it could be applied for {LASTS // 60_000_000}",
                hint="plan anew: pgusher free",
            )
        if now < plan.made_at - 60_000_000:
            raise RefusedError(f"plan {name} is of the future: the clock was set back", hint="plan anew: pgusher free")
        return plan

    def apply(
        self, plan: Plan, steps: Sequence[Step], *, grace: float = GRACE, progress: Progress = _nobody
    ) -> Applied:
        """Does these steps of a plan, then looks again.

        Raises RefusedError when the server is not the plan's, or cannot be looked at, or when there can be no record of
        what is done; then nothing was done.
        """
        with self.store.held(plan.id):
            return self._apply(plan, steps, grace, progress)

    def _apply(self, plan: Plan, steps: Sequence[Step], grace: float, progress: Progress) -> Applied:
        request = here.request_again(plan, self._request)
        self._looker.close()
        self._looker = Looker(request)
        try:
            before = self._find(plan, self._looker.look())
        except UnreachableError as error:
            raise RefusedError(f"nothing was done: {error.message}", error.detail, error.hint) from None
        here.check_place(plan, before)
        awake = grown(steps, before)
        from pgusher.remedy.act import InterruptedActError

        outcomes: tuple[Outcome, ...] = ()
        try:
            outcomes = self._act(plan, steps, self._looker.connection(before.facts.server), grace, progress, awake)
            acted = self._monotonic()
            outcomes = tuple(sorted(outcomes, key=lambda one: one.step))
            return Applied(plan, outcomes, self._verdict(plan, outcomes, before, request, acted))
        except InterruptedActError as error:
            return self._interrupted(plan, steps, error.outcomes, "before the server was looked at again")
        except KeyboardInterrupt:
            return self._interrupted(plan, steps, outcomes, "while looking again")

    def _interrupted(self, plan: Plan, steps: Sequence[Step], outcomes: Sequence[Outcome], when: str) -> Applied:
        """What is known; the server is not asked any more."""
        from pgusher.remedy.act import place

        known = {one.step: one for one in outcomes}
        now = int(self._clock() * 1_000_000)
        for step in steps:
            text = "interrupted: whether it was done is not known"
            known.setdefault(step.number, Outcome(step.number, OutcomeKind.FAILED, text, now))
        log = f"What was meant, and what is known to be done, is in {self._log or place()}."
        hint = f"the same plan can be applied again, it does what is left: pgusher free --apply {plan.id}"
        verdict = Verdict(False, f"interrupted {when}", detail=(log,), hint=hint)
        return Applied(plan, tuple(known[number] for number in sorted(known)), verdict, interrupted=True)

    def _verdict(
        self, plan: Plan, outcomes: Sequence[Outcome], before: Snapshot, request: Request, acted: float
    ) -> Verdict:
        try:
            return self._verify(plan, outcomes, before, request, acted)
        except (UnreachableError, RefusedError) as error:
            return Verdict(False, f"not verified: {error.message}", detail=(error.detail,) if error.detail else ())

    def close(self) -> None:
        """Gives every slot back."""
        self._looker.close()

    def _find(self, plan: Plan, look: Look) -> Snapshot:
        """The plan's server among those that were seen."""
        seen = [
            (one, here.is_same(plan.server, server_identity(one, here.postmaster_of(one)))) for one in look.snapshots
        ]
        if same := [one for one, answer in seen if answer]:
            return same[0]
        if any(answer is False for _, answer in seen):
            message = f"plan {plan.id} is for another server, or for this one before it was started anew"
        else:
            message = f"plan {plan.id}: nothing tells whether the server is still the one it was made for"
        raise RefusedError(message, hint="plan anew: pgusher free")

    def _act(
        self,
        plan: Plan,
        steps: Sequence[Step],
        connection: Connection | None,
        grace: float,
        progress: Progress,
        refused: tuple[Outcome, ...],
    ) -> tuple[Outcome, ...]:
        from pgusher.remedy.act import Context, Log, act

        try:
            log = Log(self._log)
            try:
                context = Context(log, connection, grace, tell=progress, refused=refused, clients=self._client)
                return act(plan, steps, context)
            finally:
                log.close()
        except PgusherError as error:  # no record, no act
            raise RefusedError(error.message, error.detail, error.hint) from None

    @staticmethod
    def _client(change: SourceChange) -> Client:
        from pgusher.app.grafana import client_of  # late: only a plan about Grafana needs it

        return client_of(change)

    def _verify(
        self, plan: Plan, outcomes: Sequence[Outcome], before: Snapshot, request: Request, acted: float
    ) -> Verdict:
        """Looks until what was ended is gone, or for so long; a pool is watched for longer, as it refills."""
        from pgusher.app.free_proof import by_own_session, prove

        self._looker.close()  # a fresh one: what refused before is asked anew, and our own slot may be an ordinary one
        self._looker = Looker(request)
        steps = meant(plan, outcomes)
        ends = sum(len(step.sessions) for step in steps)
        done = {one.step for one in outcomes if one.kind is OutcomeKind.DONE}
        sources = any(step.lever is Lever.SOURCE and step.number in done for step in plan.steps)
        refills = any(
            step.lever in (Lever.TERMINATE, Lever.END_BACKEND) and not step.slots and step.number in done
            for step in steps
        )
        own: Proof | None = None
        wider = here.as_server_user(request, before)
        while True:
            began = self._monotonic()
            after = self._find(plan, self._looker.look())
            own = own or by_own_session(after, (self._monotonic() - began) * 1000)
            if wider is not None and sees_less(before, after):
                # As the look before acting was made: of what is hidden it cannot be told whether it is new.
                self._looker.close()
                self._looker, wider = Looker(wider), None
                continue
            since = self._monotonic() - acted
            left = still_there(steps, after)
            back = sum(came_back(plan, steps, before, after).values())
            settled = not left or since >= _GONE_WITHIN
            if sources and since < _DRAINED_WITHIN:
                settled = settled and all(one.settled for one in pools(plan, outcomes, before, after))
            if settled and (not refills or back >= ends or since >= self._back_within):
                break
            self._sleep(_PAUSE if left else _PAUSE_OF_WATCH)
        self._looker.close()
        proof = Proof()
        if any(step.lever in ENDING for step in steps):
            proof = own or prove(plan, before, after)
        return judge(plan, outcomes, before, after, proof, since)
