"""The words of the demo: what was staged becomes one line each. Pure: events in, lines out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Event = Mapping[str, Any]

_WIDTH = 71
"""Columns of a line; the mark of the time before it takes nine."""


def server(event: Event) -> list[str]:
    """The server and its slots."""
    reserved = event["max_connections"] - event["ordinary"]
    slots = f"{event['max_connections']} slots, {reserved} of them for superusers only"
    return [f"PostgreSQL {event['version']} on port {event['port']}: {slots}"]


def jobs(event: Event) -> list[str]:
    """The cron jobs, and what starts them."""
    who = "cron" if event["real"] else f"a stand-in for cron ({event['why']})"
    runs = [f"  {script:<20}{schedule:<18}{_count(runs, 'run')}" for script, runs, schedule in event["jobs"]]
    return [
        f"{who} runs three scripts of the incident:",
        *runs,
        "  the runs of weeks were started at once, by @reboot lines, now removed",
        _slots("in each run a thread has raised, and another waits for it", event),
    ]


def api(event: Event) -> list[str]:
    """The back end."""
    workers = _count(event["workers"], "worker")
    return [_slots(f"a FastAPI back end: uvicorn, {workers}, a pool of {event['pool']} in each", event)]


def people(event: Event) -> list[str]:
    """Who sits at a terminal."""
    if not event["people"]:
        return ["no psql was found beside the server: nobody sits at a terminal"]
    who = [f"{name}'s psql is {'idle in transaction' if busy else 'idle'}" for name, busy in event["people"]]
    return [_slots(", ".join(who), event)]


def grafana(event: Event) -> list[str]:
    """The stand-in for Grafana, and that the server is full."""
    total = f"{event['taken']} of {event['of']} slots"
    return [
        _slots(f"a stand-in for Grafana, limit left at {event['limit']}, opens dashboards", event),
        f"{'no ordinary slot is left':<{_WIDTH - len(total)}}{total}",
    ]


def refused(event: Event) -> list[str]:
    """The second back end."""
    return [f"a second back end cannot start: exit code {event['code']}; the server said to it", f"  {event['words']}"]


def started(event: Event) -> list[str]:
    """The second back end, after slots were given back; and one that is written with Database."""
    orders = event["orders"]
    workers, requests = _count(orders["workers"], "worker"), f"{orders['answered']} of {orders['asked']} requests"
    return [
        _slots(f"the refused back end now starts, in {event['seconds']} s, its pool is full", event),
        f"one with pgusher's Database, {workers}, Budget({orders['budget']}), answers",
        _slots(f"  {requests} made at once, and has no more sessions", orders),
    ]


def refusals(before: int, after: int) -> list[str]:
    """What the server's own log has of refusals: before the limits were set, and since."""
    since = "not one" if after == 0 else str(after)
    return [
        "dashboards, both back ends, the one with Database and the jobs ran together:",
        f"  the server has refused {since} of their sessions since the limits were set, {before} before",
    ]


TOLD: Mapping[str, Callable[[Event], list[str]]] = {
    "server": server,
    "jobs": jobs,
    "api": api,
    "people": people,
    "grafana": grafana,
    "refused": refused,
    "started": started,
}

_WAITS = {
    "runs": "waiting for the scripts: {done} of {of} runs hold their sessions",
    "api": "waiting for the back end: {done} of {of} connections",
    "grafana": "waiting for the dashboards: {done} of {of} slots are taken",
}


def waiting(event: Event) -> str:
    """What is waited for, and how far it is."""
    return _WAITS[event["part"]].format(done=event["done"], of=event["of"])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _slots(text: str, event: Event) -> str:
    """A line with its slots at the right."""
    slots = _count(event["sessions"], "slot")
    return f"{text:<{_WIDTH - len(slots) - 1}} {slots}"
