"""Scripts that really hang, each in another way, and programs at work that look so; their stacks are taken."""

from __future__ import annotations

import glob
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack

from pgusher.app.deep import DeepLooker
from pgusher.app.look import Looker
from pgusher.app.request import Request
from pgusher.diagnose.engine import diagnose
from pgusher.model.findings import Diagnosis
from tests.bed.bed import MONITOR, Bed
from tests.bed.cron import command, why_no_cron, why_no_hurry
from tests.bed.holder import HANGS, hanging
from tests.incidents.incident import INNOCENT, Incident
from tests.incidents.real import bed_of

HERE = os.path.dirname(os.path.abspath(__file__))
DAY = 86400.0
_SESSIONS = 5


def deep_look(bed: Bed, later: float = 0.0) -> Diagnosis:
    """What `pgusher why` says of this server, as if it were asked that many seconds later."""
    request = Request(dsn=bed.dsn(MONITOR, "postgres"), timeout=30.0)
    looker = Looker(request, clock=lambda: time.time() + later)
    deep = DeepLooker(request, lambda _: None, looker=looker)
    try:
        (snapshot,) = deep.look().snapshots
    finally:
        deep.close()
    return diagnose(snapshot, strict=True)


def marked(name: str) -> tuple[tuple[str, int], ...]:
    """The lines of a script at which it may be said to hang: it waits there, or holds what others wait for."""
    with open(hanging(name), encoding="utf-8") as file:
        lines = enumerate(file, 1)
        return tuple((f"{name}.py", number) for number, line in lines if re.search(r"# (WAITS|HOLDS)\b", line))


def _scripts() -> list[str]:
    """All that have such a line."""
    paths = sorted(glob.glob(os.path.join(HANGS, "*.py")))
    names = [os.path.basename(path).removesuffix(".py") for path in paths]
    return [name for name in names if marked(name)]


def _script(name: str) -> Incident:
    def run() -> Diagnosis:
        with bed_of(40) as bed, bed.hang(name, _SESSIONS):
            time.sleep(1.0)  # its sessions are open: what it hangs in comes after that
            said = deep_look(bed)
            # On a busy machine a look may see a thread on its way: then nothing is said, and a person looks again.
            for _ in range(2):
                said = said if said.findings else deep_look(bed)
            return said

    causes = ("dead-thread-holds-slots", "blocked-by-idle")
    about = f"hang: {name.replace('_', ' ')}"
    return Incident(f"a script: {name}.py", about, causes, run, True, causes, marked(name))


def _as_a_job(name: str) -> Incident:
    def run() -> Diagnosis:
        with bed_of(40) as bed, tempfile.TemporaryDirectory() as turns:
            env = bed.hang_env(_SESSIONS)
            # Two runs and no more: cron's minute lasts a second here.
            turn = f"(mkdir {turns}/1 || mkdir {turns}/2) 2>/dev/null"
            line = f"* * * * * root {turn} && {command(sys.executable, hanging(name))}"
            with bed.cron([line], hurry=True, env=env, processes=2, sessions=2 * _SESSIONS):
                time.sleep(1.0)
                return deep_look(bed, later=DAY)

    missing = why_no_cron() or why_no_hurry()
    also = ("dead-thread-holds-slots", "one-holder-takes-all")
    return Incident(
        f"a cron job of it, a day old: {name}.py", "stuck-job", ("stuck-job",), run, True, also, marked(name), missing
    )


def _healthy(kind: str, about: str) -> Incident:
    def run() -> Diagnosis:
        with bed_of(40) as bed, ExitStack() as stack:
            program = os.path.join(HERE, "programs", "healthy.py")
            argv = [sys.executable, program, kind, bed.dsn()]
            client = subprocess.Popen(
                argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
            )
            stack.callback(client.communicate)
            stack.callback(os.killpg, client.pid, signal.SIGKILL)  # with what it has started
            assert client.stdout is not None
            assert client.stdout.readline() == "ready\n"
            time.sleep(1.0)
            return deep_look(bed)

    return Incident(about, INNOCENT, (), run, True)


def _service() -> Diagnosis:
    with (
        bed_of(40) as bed,
        bed.web("uvicorn", workers=2, sessions=4),
        bed.web("gunicorn:gthread", workers=2, sessions=4),
    ):
        return deep_look(bed)


SCRIPTS = tuple(_script(name) for name in _scripts())
INCIDENTS = (*SCRIPTS, _as_a_job("queue_join_no_task_done"))

HEALTHY = (
    _healthy("long_query", "a script in a statement of ten minutes, its stack taken"),
    _healthy("poller", "a script that sleeps between two looks for work, its stack taken"),
    _healthy("computing", "a script that reckons with what it has read, its stack taken"),
    _healthy("executor", "an executor whose workers wait for their statements, its stack taken"),
    _healthy("workers", "queue.join() while the workers are at work, its stack taken"),
    _healthy("child_at_work", "a script that waits for a long child, its stack taken"),
    _healthy("mp_at_work", "a pool of processes at work, its stack taken"),
    _healthy("asking", "a script that waits for a slow service, with a time limit, its stack taken"),
    _healthy("event_loop", "an asyncio program with a timer, its stack taken"),
    Incident("two web services with nothing to do, their stacks taken", INNOCENT, (), _service, True),
)
