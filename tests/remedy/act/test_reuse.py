"""No innocent is ever ended, however often the kernel gives a victim's pid away; naive code ends it each time.

PGUSHER_REUSE_ROUNDS=1000 makes as many rounds of each kind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.bed.holder import ROOT

ROUNDS = int(os.environ.get("PGUSHER_REUSE_ROUNDS", "30"))
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
PROBE = "open('/proc/sys/kernel/ns_last_pid', 'w').write('300')"


def namespace(kind: str) -> list[str]:
    """How to get a pid namespace in which the next pid may be chosen."""
    ways = [UNSHARE] if os.geteuid() == 0 else []
    if kind == "processes":  # a server refuses to run as a root, also one that is none outside
        ways.append([*UNSHARE, "--user", "--map-root-user"])
    said = "an ordinary user cannot run a server in a pid namespace of its own"
    for way in ways:
        try:
            done = subprocess.run([*way, sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
        except OSError as error:
            said = str(error)
            continue
        if done.returncode == 0:
            return way
        said = (done.stderr.strip().splitlines() or ["it failed"])[-1]
    pytest.skip(f"no pid namespace in which the next pid may be chosen: {said}")


@pytest.mark.parametrize("kind", ["processes", "sessions", "backends"])
def test_no_innocent_is_ended_when_pids_are_used_again(kind: str) -> None:
    way = namespace(kind)
    done = subprocess.run(
        [*way, sys.executable, "-m", "tests.remedy.act.reuse", kind, str(ROUNDS)],
        capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((ROOT, os.path.join(ROOT, "src")))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["rounds"], found["hit"], found["naive"]) == (ROUNDS, 0, ROUNDS), found
