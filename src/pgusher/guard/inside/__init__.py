"""What the guard brings into the Python processes of a job: a thread that dies there makes the run a failed one.

It goes in by PYTHONPATH, the one way that works for every interpreter the job may start (venvs, pyenv, other versions,
children of children) and that changes nothing on disk: the directory `start` holds a sitecustomize.py, which Python
itself runs at its start, and which steps aside for the next one. Nothing is watched in a Python that is started with
-I, -E or -S, or behind a line that sets PYTHONPATH anew: those never open the report, so that `report.read` tells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "PGUSHER_INSIDE"
"""In the job's environment: the grace in seconds, a colon, the path of the report."""
GRACE = 5.0
"""Seconds that a run gets to end by itself once one of its threads has died."""
START = os.path.join(os.path.dirname(os.path.abspath(__file__)), "start")


def environment(environ: Mapping[str, str], report: str, grace: float = GRACE) -> dict[str, str]:
    """The variables that are to be set for a job, whose environment is `environ`, so that its threads are watched.

    `report` is an empty file that the job's user may write; `pgusher.guard.inside.report` reads it.
    """
    paths = environ.get("PYTHONPATH", "")
    if START not in paths.split(os.pathsep):
        # An empty entry would mean the current directory.
        paths = START + (os.pathsep + paths if paths else "")
    return {"PYTHONPATH": paths, VARIABLE: f"{grace:g}:{os.path.abspath(report)}"}
