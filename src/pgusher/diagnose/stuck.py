"""Whether a run of a job is stuck, as several rules need to know."""

from __future__ import annotations

from collections.abc import Mapping

from pgusher.diagnose.runs import Run
from pgusher.model.address import Micros


def is_stuck(run: Run, quiet: Mapping[int, Micros], now: Micros, ratio: float) -> bool:
    """Whether its schedule has come round `ratio` times, and it was silent for at least one whole pause of it.

    A run that is at work, however long, speaks to the server now and then: a report that takes two hours every thirty
    minutes is slow, and its next run overlaps it, but it is not stuck. One that listens for notifications says nothing
    for days and is well.
    """
    if run.pause is None or now - run.started <= ratio * run.pause:
        return False
    for session in run.sessions:
        silent = quiet.get(session.pid)
        if silent is None or silent < run.pause or listens(session.query):
            return False
    return True


def listens(query: str | None) -> bool:
    """Whether a session's last statement says that it waits for notifications."""
    return query is not None and query.lstrip()[:7].upper() == "LISTEN "
