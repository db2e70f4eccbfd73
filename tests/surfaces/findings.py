"""What the rules would find in `worlds.incident`, made by hand: the words are the tests' own."""

from __future__ import annotations

from dataclasses import replace

from pgusher.model.evidence import Certainty, Gap
from pgusher.model.findings import Diagnosis, Evidence, Finding, Remedy, Safety, Severity, Skipped
from pgusher.model.snapshot import Snapshot
from pgusher.model.stacks import Frame, ProcessStacks, StackOrigin, ThreadStack
from tests.surfaces.worlds import DAY, HOSTILE, MINUTE, NOW, incident

_SNAPSHOT = incident()


def _sessions(name: str) -> tuple[int, ...]:
    holder = _SNAPSHOT.holder(name)
    assert holder is not None
    return holder.sessions


HANG = Finding(
    "stuck-job",
    Severity.CRITICAL,
    Certainty.PROVEN,
    "cron/version_history",
    "cron job version_history (every 10 min): 4 runs stuck, the oldest for 23 days",
    detail=(
        "MainThread waits in queue.join() at version_history.py:57, and no thread is left that could call task_done().",
        "8 sessions idle, all for 2 days or longer.",
    ),
    evidence=(
        Evidence("pid 4711 is a run of /etc/cron.d/jobs:3"),
        Evidence("the threads of pid 4711: no worker that takes from the queue is left"),
        Evidence("worker-mes raised ValueError at version_history.py:31, by the job's log", Certainty.LIKELY),
        Evidence("task_done() stands outside of a finally block", Certainty.GUESSED),
    ),
    remedies=(
        Remedy(
            "end the runs themselves, not the shell above them",
            Safety.UNSAFE,
            "kill 4711 5120 9033 15022",
            "what the runs had not finished",
        ),
        Remedy("call task_done() in a finally block: version_history.py:31", Safety.SAFE),
        Remedy("put flock -n FILE before its command: no run starts while one is left", Safety.SAFE),
    ),
    holder="cron/version_history",
    sessions=_sessions("cron/version_history"),
    processes=(4711, 5120, 9033, 15022),
    slots=8,
    since=NOW - 23 * DAY,
    file="/opt/jobs/version_history.py",
    line=57,
    thread="MainThread",
)
FULL = Finding(
    "slots-exhausted",
    Severity.CRITICAL,
    Certainty.PROVEN,
    "server",
    "97 of 97 ordinary slots taken, 3 of 3 reserved",
    evidence=(Evidence("100 slots are taken, by pg_settings"),),
    remedies=(Remedy("see who holds them, and why", Safety.SAFE, "pgusher why unit/grafana-server"),),
    symptom=True,
)
GRAFANA = Finding(
    "grafana-default-limit",
    Severity.CRITICAL,
    Certainty.LIKELY,
    "unit/grafana-server",
    "Grafana may take 100 of 97 ordinary slots: its data source is at the default",
    evidence=(Evidence("it holds 62 sessions, 57 of them idle"), Evidence("it is 9.5 or newer", Certainty.LIKELY)),
    remedies=(
        Remedy(
            "cap it where you may not enter Grafana", Safety.SAFE, "ALTER ROLE grafana CONNECTION LIMIT 20",
            "",
        ),
    ),
    holder="unit/grafana-server",
    sessions=_sessions("unit/grafana-server"),
    processes=(1204,),
    slots=57,
    since=NOW - 11 * DAY,
)  # fmt: skip
IDLE = Finding(
    "idle-in-transaction",
    Severity.WARNING,
    Certainty.PROVEN,
    "unit/orders-api",
    "unit/orders-api: 2 sessions idle in a transaction, the oldest for 41 minutes",
    evidence=tuple(Evidence(f"fact {number} of many") for number in range(1, 9)),
    remedies=(Remedy("let the server end them", Safety.UNSAFE, "ALTER ROLE orders SET x = '5min'"),),
    holder="unit/orders-api",
    sessions=_sessions("unit/orders-api")[-2:],
    processes=(2210, 2211),
    slots=2,
    since=NOW - 41 * MINUTE,
)  # fmt: skip
OVERLAP = Finding(
    "overlapping-runs", Severity.WARNING, Certainty.PROVEN, "cron/mail_digest",
    "cron job mail_digest: 2 runs hold slots at the same time",
    evidence=(Evidence("pids 3307 and 7781 are runs of /etc/cron.d/jobs:7"),),
    holder="cron/mail_digest", sessions=_sessions("cron/mail_digest"), processes=(3307, 7781), slots=5,
    since=NOW - 61 * DAY,
)  # fmt: skip
NOTE = Finding(
    "no-idle-timeout", Severity.NOTE, Certainty.PROVEN, "server",
    "81 sessions have been idle for more than a day, and nothing ends them",
    remedies=(Remedy("let the server end them", Safety.UNSAFE, "ALTER ROLE app SET idle_session_timeout = '1d'"),),
)  # fmt: skip
SKIPPED = Skipped(
    "connection-churn", "earlier",
    Gap("history", "an earlier look", "one look shows no coming and going", "pgusher --watch 2")
)  # fmt: skip

_ALL = tuple(sorted((HANG, FULL, GRAFANA, IDLE, OVERLAP, NOTE), key=lambda finding: finding.order))
INCIDENT = Diagnosis(_ALL, (SKIPPED,), ("nameless-sessions:server",), ("stuck-job", "idle-in-transaction"))
QUIET = Diagnosis(asked=("stuck-job", "slots-exhausted"))
NOTES = Diagnosis((NOTE,), asked=("no-idle-timeout",))
EVIL = Diagnosis(
    (
        Finding(
            HOSTILE, Severity.CRITICAL, Certainty.GUESSED, HOSTILE, HOSTILE, (HOSTILE,),
            (Evidence(HOSTILE, Certainty.LIKELY),), (Remedy(HOSTILE, Safety.UNSAFE, HOSTILE, HOSTILE),),
            holder=HOSTILE, sessions=(20100, 20101, 20102), processes=(77,), slots=3, since=NOW, file=HOSTILE, line=3,
            thread=HOSTILE,
        ),
    ),
    (Skipped(HOSTILE, HOSTILE, Gap(HOSTILE, HOSTILE, HOSTILE, HOSTILE)),),
    (HOSTILE,),
    (HOSTILE,),
)  # fmt: skip

_LIB = "/usr/lib/python3.11"
_JOB = "/opt/jobs/version_history.py"
STACKS = ProcessStacks(
    4711, 8812, NOW - 23 * DAY, StackOrigin.PY_SPY,
    threads=(
        ThreadStack(
            4711, 1, "MainThread", main=True, state="S", syscall="futex", endless=True, switches=9, switched=0,
            busy=False,
            frames=(
                Frame("Condition.wait", f"{_LIB}/threading.py", 320),
                Frame("Queue.join", f"{_LIB}/queue.py", 90),
                Frame("main", _JOB, 57, "todo[name].join()"),
                Frame("<module>", _JOB, 62, "main()"),
            ),
        ),
        ThreadStack(
            4713, 2, "worker-shop", state="S", syscall="futex", endless=True, switches=20, switched=0, busy=False,
            frames=(Frame("Queue.get", f"{_LIB}/queue.py", 171), Frame("worker", _JOB, 17, "product = todo.get()")),
        ),
        *(ThreadStack(4720 + n, n, f"pool-{n}-worker-1", frames=(Frame("wait", f"{_LIB}/threading.py", 320),))
          for n in range(1, 6)),
    ),
    sampled_ms=500, python="3.11.2", argv=("python3", "version_history.py"),
)  # fmt: skip
EVIL_STACKS = ProcessStacks(
    77, 1, NOW, StackOrigin.PY_SPY,
    threads=(
        ThreadStack(77, 1, HOSTILE, (Frame(HOSTILE, HOSTILE, 3, HOSTILE), Frame(HOSTILE, HOSTILE, 0)), main=True,
                    state=HOSTILE, syscall=HOSTILE, switched=0),
        ThreadStack(78, 2, HOSTILE, (Frame(HOSTILE, HOSTILE, 4),)), ThreadStack(79, name=HOSTILE, syscall=HOSTILE),
    ),
    sampled_ms=500,
)  # fmt: skip


def stacked(snapshot: Snapshot | None = None) -> Snapshot:
    """The incident with the threads of one run."""
    base = snapshot or _SNAPSHOT
    return replace(base, facts=replace(base.facts, stacks=(STACKS,)))
