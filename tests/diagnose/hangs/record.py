"""Record the stacks of the programs that need no server, on one version of Python: the quick tests replay them.

python -m tests.diagnose.hangs.record /path/to/python3.8 tests/diagnose/hangs/recorded/3.8.json
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pgusher.model import codec
from tests.diagnose.hangs.staging import HERE, Stage, scripts

JOBS = "/srv/jobs"


def main(python: str, target: str) -> None:
    """Record them all."""
    chosen = [script for script in scripts() if not script.needs_server]
    stage = Stage(chosen, {}, python)
    try:
        stage.settle(further=6)  # so long a peer must be silent
        stacks = stage.take()
    finally:
        stage.close()
    prefix = python.rpartition("/bin/")[0]
    names = {pid: name for name, pid in stage.pids.items()}
    found: dict[str, list[Any]] = {}
    family: dict[int, str] = {}
    for process in stacks:
        name = names.get(process.pid) or family.get(process.ppid)
        if name is not None:
            family[process.pid] = name
            found.setdefault(name, []).append(codec.dump(process))
    text = json.dumps(found, separators=(",", ":"), sort_keys=True).replace(HERE, JOBS).replace(prefix, "/usr")
    with open(target, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    print(f"{target}: {len(found)} programs, {len(text)} bytes")  # noqa: T201 - a tool for the developer


if __name__ == "__main__":
    main(*sys.argv[1:])
