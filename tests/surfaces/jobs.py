"""Runs, crontabs and findings about jobs, made up for the screens of `pgusher jobs` and `pgusher cron`."""

from __future__ import annotations

from pgusher.guard.history_entry import Entry
from pgusher.model.evidence import Gap
from pgusher.surfaces.render.jobs import job_page, jobs_page
from pgusher.surfaces.render.jobs_cron import Change, Finding, Job, adopt_page, check_page
from pgusher.surfaces.render.screen import Screen

NOW = 1_790_000_000_000_000
MINUTE = 60_000_000
SCHEDULE = "schedule */10 * * * * of /etc/cron.d/reports:3"
STUCK = (
    "thread worker-mes of pid 4711 died of ValueError: bad version '4b' at /srv/reports/version_history.py:21",
    "thread MainThread waits in Queue.join at /srv/reports/version_history.py:37",
    "pid 4711 holds session 5811 of the server on port 5432: idle in transaction for 540 s: select version",
)
HELD = ("job load was not started: 4 slots of budget web are not free", "pid 812 has 38: gunicorn shop.app:api")
DONE = {"ending": "done", "exit": 0, "duration": 9_500_000, "peak_slots": 3, "peak_memory": 40 << 20}


def run(name: str, job: str, minutes: int, **more: object) -> Entry:
    """A run that began so many minutes ago."""
    known = {"command": f"python {job}.py", "started": NOW - minutes * MINUTE, **DONE}
    return Entry(run=name, job=job, **(known | more))  # type: ignore[arg-type]


HISTORY = [
    run("6a1-4700", "version_history", 10, ending="limit", exit=124, duration=9 * MINUTE, limit=9 * MINUTE,
        limit_source=SCHEDULE, evidence=STUCK),
    run("6a0-4650", "version_history", 20, limit=9 * MINUTE, limit_source=SCHEDULE),
    run("69f-4600", "version_history", 30, ending="skipped", exit=75, duration=1, peak_slots=None, peak_memory=None,
        evidence=("job version_history runs already: for 10 min 0 s, guard pid 4588",)),
]  # fmt: skip
LAST = {
    "version_history": HISTORY[0],
    "load": run("6a2-4800", "load", 3, ending="skipped", exit=75, peak_slots=None, peak_memory=None, evidence=HELD),
    "price_import": run("5ff-1200", "price_import", 9 * 60),
}
RUNNING = [
    run("6a3-4900", "load", 2, ending="running", exit=None, duration=None, peak_slots=None, peak_memory=None,
        guard_pid=4900, output="/run/pgusher/load.out"),
]  # fmt: skip
COUNTS = {"version_history": (3, 1), "load": (41, 0), "price_import": (12, 0)}

CHANGES = [
    Change(
        "/etc/cron.d/reports",
        (
            "--- /etc/cron.d/reports",
            "+++ /etc/cron.d/reports",
            "@@ -1,3 +1,3 @@",
            " MAILTO=ops",
            "-*/10 * * * * app python /srv/version_history.py",
            "+*/10 * * * * app pgusher run --timeout 9m --name version_history -- python /srv/version_history.py",
            " @reboot app /srv/reports/warm.sh",
        ),
        (
            Job(2, "*/10 * * * *", "adopted", "", "version_history", "9m"),
            Job(3, "@reboot", "left", "no limit follows from its schedule: give it one by hand", "", ""),
        ),
        "/var/lib/pgusher/crontabs/reports.1790000000",
    )
]
GAPS = (Gap("cron", "the crontab /etc/cron.d/private", "permission denied", "run pgusher as root"),)
FINDINGS = [
    Finding("no limit", "/etc/cron.d/reports:2 version_history", "schedule */10 * * * *, and nothing ends a run",
            "pgusher cron adopt", True),
    Finding("no start timeout", "stock-sync.service", "oneshot, started by stock-sync.timer, and may run for ever",
            "pgusher cron adopt --systemd", True),
    Finding("overlap", "load", "3 of 41 runs were skipped, as the last one was still there or slots were taken",
            "pgusher jobs show load", True),
    Finding("no start timeout", "apt-daily.service", "oneshot, started by apt-daily.timer, and may run for ever",
            "pgusher cron adopt --systemd", False),
]  # fmt: skip


def jobs(screen: Screen) -> str:
    """`pgusher jobs`."""
    return screen.page(jobs_page(screen, LAST, RUNNING, COUNTS, NOW))


def job(screen: Screen, every: bool = False) -> str:
    """`pgusher jobs show version_history`."""
    return screen.page(job_page(screen, "version_history", HISTORY, NOW, every))


def adopt(screen: Screen, applied: bool = False) -> str:
    """`pgusher cron adopt`."""
    return screen.page(adopt_page(screen, CHANGES, GAPS, applied, "pgusher cron adopt --apply"))


def check(screen: Screen) -> str:
    """`pgusher cron check`."""
    return screen.page(check_page(screen, FINDINGS, GAPS))
