"""Every script of tests/diagnose/hangs, all on one server at once: what is said of each by its holder's name."""

from __future__ import annotations

import time
from functools import cache, partial

from pgusher.app.deep import with_stacks
from pgusher.app.look import Looker
from pgusher.app.request import Request
from pgusher.collect.stacks.spy import find_spy
from pgusher.diagnose.engine import diagnose
from pgusher.model.findings import Diagnosis
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from tests.bed.bed import MONITOR
from tests.diagnose.hangs.staging import Script, Stage, scripts
from tests.incidents.incident import INNOCENT, Incident
from tests.incidents.real import bed_of

_MISSING = "" if find_spy() is not None else "py-spy is not installed"
CAUSES = ("dead-thread-holds-slots", "blocked-by-idle")
"""Both name the line's holder; the second where the server itself says who waits for whom."""


_AT_ONCE = 30
"""Scripts on one server: more of them would take each other's CPU, and move less than they stand still."""


def _group(name: str) -> int:
    return [script.name for script in scripts()].index(name) // _AT_ONCE


@cache
def staged(group: int) -> tuple[Snapshot, Diagnosis]:
    """One look at all of a group."""
    chosen = [script for script in scripts() if _group(script.name) == group]
    with bed_of(160) as bed:
        stage = Stage(chosen, {"PGUSHER_DSN": bed.server.dsn()})
        try:
            stage.settle()
            time.sleep(3.0)  # so long a lock must be waited for before it is worth a word
            request = Request(dsn=bed.dsn(MONITOR, "postgres"), timeout=30.0)
            looker = Looker(request)
            try:
                (snapshot,) = looker.look().snapshots
            finally:
                looker.close()
            # With all the time they need: what a busy machine leaves out within three seconds is no matter here.
            snapshot = with_stacks(snapshot, stage.take(), list(stage.pids.values()))
        finally:
            stage.close()
    return snapshot, diagnose(snapshot, strict=True)


def said_of(name: str) -> Diagnosis:
    """What was said of one script: the findings that name its holder, or a session of it."""
    snapshot, diagnosis = staged(_group(name))
    holder = f"script/{name}.py"
    mine = {chain.pid for chain in snapshot.chains if chain.holder == holder}
    kept = [f for f in diagnosis.findings if f.holder == holder or (f.holder is None and mine & set(f.sessions))]
    return replace(diagnosis, findings=tuple(kept))


def _incident(script: Script) -> Incident:
    run = partial(said_of, script.name)
    name = f"{script.name}.py"
    if script.expect in ("none", "unknown"):
        about = INNOCENT if script.expect == "none" else "hang: unknown"
        # A session that forked helpers have open, too, is a danger that is told as a note.
        # So is an idle session with an advisory lock, of whoever leads: a note, too, and nothing more.
        also = ("fork-shared-socket", *(("blocked-by-idle",) if script.name == "ok_standby" else ()))
        return Incident(f"{name}, one of many at once", about, (), run, True, also, missing=_MISSING)
    places = tuple((name, line) for line in script.waits)
    also = (*CAUSES, "fork-shared-socket", "idle-in-transaction")
    return Incident(f"{name}, one of many at once", f"hang: {script.expect}", CAUSES, run, True, also, places, _MISSING)


ALL = tuple(map(_incident, scripts()))
INCIDENTS = tuple(incident for incident in ALL if incident.causes)
HEALTHY = tuple(incident for incident in ALL if not incident.causes)
