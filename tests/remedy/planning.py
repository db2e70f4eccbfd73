"""Plans for worlds written down in TOML, as the rules' tests have them."""

from __future__ import annotations

from typing import Any

from pgusher.diagnose.engine import diagnose
from pgusher.model.findings import Diagnosis
from pgusher.model.plan import Plan, Reach
from pgusher.model.snapshot import Snapshot
from pgusher.remedy.plan import Seen, Terms, Wanted, make_plan
from tests.diagnose.worlds import NOW, World

TERMS = Terms("k7f3", NOW, NOW + 600_000_000, 0, Reach())
SEEN = Seen(locking=frozenset())
"""The server was asked, and no session holds an advisory lock."""

STUCK = """
slots = 20

[[process]]
argv = "python3 version_history.py"
cron = "*/10 * * * * root cd /opt/jobs && python3 version_history.py"
age = "23d"
sessions = [{ count = 3, idle = "23d" }]

[process.hang]
mechanism = "queue-join-no-worker"
sentence = "MainThread waits in queue.join() for a worker thread that has ended"
waits_in = "Queue.join"
file = "/opt/jobs/version_history.py"
line = 57
"""
WEB = """
[[process]]
argv = "/usr/share/grafana/bin/grafana server"
unit = "grafana-server"
exe = "/usr/share/grafana/bin/grafana"
age = "11d"
sessions = [{ count = 8, idle = "2h", user = "grafana" }]
"""
PSQL = """
[[process]]
argv = "psql shop"
exe = "/usr/bin/psql"
tty = "pts/3 anna"
os_user = "anna"
age = "9h"
sessions = [{ idle = "9h", user = "anna" }]
"""


def look(text: str) -> tuple[Snapshot, Diagnosis]:
    """A world, and what is found in it."""
    world = World(text)
    snapshot = world.snapshot()
    return snapshot, diagnose(snapshot, hangs=world.found_hangs(), strict=True)


def plan(text: str, *, terms: Terms = TERMS, seen: Seen = SEEN, **wanted: Any) -> Plan:
    """The plan for a world."""
    return make_plan(*look(text), Wanted(**wanted), terms, seen=seen)


def spared(plan: Plan, word: str) -> str:
    """Why something is spared: the words of each entry that names it."""
    return "; ".join(f"{one.what}: {one.why}" for one in plan.spared if word in f"{one.what} {one.holder} {one.why}")
