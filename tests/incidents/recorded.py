"""Incidents that take days, as a store has them: written by the recorder, look by look, and read by the rules."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from pgusher.app.recorded import past_of
from pgusher.diagnose.engine import diagnose
from pgusher.model.budget import Declared
from pgusher.model.findings import Diagnosis
from pgusher.model.past import Past
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from tests.incidents.incident import INNOCENT, Incident
from tests.record import days
from tests.record.days import MIDNIGHT, SECOND, recorder, snapshot

MINUTE = 60 * SECOND
Held = Callable[[int], list[tuple[Session, str]]]
"""Who held what in that minute."""


def pool(count: int, holder: str, first: int) -> list[tuple[Session, str]]:
    """So many sessions at work."""
    return days.pool(count, holder, first, state="active", query="SELECT $1", query_start=MIDNIGHT)


def recorded(held: Held, minutes: Iterable[int]) -> tuple[Snapshot, Past]:
    """The last look, and the past that a store has which was shown all of them."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "record.db")
        at = list(minutes)
        made = recorder(Path(path), every=(at[1] - at[0]) * 60.0)
        last = snapshot(MIDNIGHT, [])
        for minute in at:
            last = snapshot(MIDNIGHT + minute * MINUTE, held(minute))
            made.take([last])
            if minute % 60 == 0:
                made.commit()
        made.commit()
        made.close()
        past = past_of(last, path)
        assert isinstance(past, Past)
        return last, past


def _diagnosed(held: Held, minutes: Iterable[int], *budgets: Declared) -> Diagnosis:
    last, past = recorded(held, minutes)
    return diagnose(last, history=past, budgets=budgets, strict=True)


def each_morning(minute: int) -> list[tuple[Session, str]]:
    """A report that starts with forty sessions at 08:00, beside a service with fifty."""
    day, of_day = divmod(minute, 1440)
    report = pool(40, "cron/report", 1000 + day * 50) if 480 <= of_day < 505 else []
    return [*pool(50, "unit/web", 100), *report]


def _people(minute: int) -> list[tuple[Session, str]]:
    """Fifty sessions by day, five at night, and two hours from one to the other."""
    of_day = minute % 1440
    up = min(1.0, max(0.0, (of_day - 420) / 120)) if of_day < 1080 else max(0.0, 1 - (of_day - 1080) / 120)
    return pool(5 + round(45 * up), "unit/web", 100)


def _leak(minute: int) -> list[tuple[Session, str]]:
    """One session more every other minute."""
    return [*pool(10 + minute // 2, "unit/api", 500), *pool(12, "unit/web", 100)]


def _night(minute: int) -> list[tuple[Session, str]]:
    """Thirty sessions of the shop for half an hour, some hours ago."""
    return pool(30 if 60 <= minute < 90 else 12, "unit/shop", 100)


WEEK = range(0, 8 * 1440 + 1, 5)
"""Of a recorder that looks every five minutes."""
INCIDENTS = (
    Incident(
        "a cron job that takes forty slots each morning, in a week's store",
        "daily-peak",
        ("daily-peak",),
        lambda: _diagnosed(each_morning, WEEK),
    ),
    Incident(
        "a service that loses a session every other minute, in two hours' store",
        "leaking-slots",
        ("leaking-slots",),
        lambda: _diagnosed(_leak, range(100)),
        also=("one-holder-takes-all", "slots-running-out"),
    ),
    Incident(
        "a service that had more than its budget in the night, and has less by now",
        "above-budget",
        ("above-budget",),
        lambda: _diagnosed(_night, range(600), Declared("shop", 20, place="pgusher.toml: budget.shop")),
    ),
)
HEALTHY = (
    Incident(
        "a service that people use by day, in a week's store, within its budget",
        INNOCENT,
        (),
        lambda: _diagnosed(_people, WEEK, Declared("web", 50, place="pgusher.toml: budget.web")),
    ),
)
