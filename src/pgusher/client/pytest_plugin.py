"""A pytest plugin: a test that ends with a loan out, or leaves sessions on the server, fails, with the line.

It looks after each test and its fixtures, and only when pools of pgusher are there. What a fixture of a wider scope
borrows or opens is not the test's. `pgusher_leaks = off` in the configuration of pytest switches it off, the marker
`pgusher_keeps` does so for one test. What `Database` shares over a whole process may stay open, its loans may not.
"""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Generator
from typing import Any

import pytest

_INI, _MARKER = "pgusher_leaks", "pgusher_keeps"
_PATIENCE = 1.0
"""Seconds that a thread or task which is ending gets to give its loan back."""


class Leaks:
    """What tests have opened and borrowed."""

    def __init__(self) -> None:
        self.opened: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
        """The line that made each pool."""
        self.excused: weakref.WeakSet[Any] = weakref.WeakSet()
        """Pools of fixtures of a wider scope."""
        self.spans: list[tuple[float, float]] = []
        """When such fixtures were set up: what was borrowed then is theirs."""

    def made(self, pool: Any) -> None:
        """A pool is being made."""
        frame = sys._getframe(2)  # noqa: SLF001  # the one way to the caller's line that costs nothing
        from pgusher.client.loans import borrower, place

        found = borrower(frame)
        self.opened[pool] = place(found.f_code, found.f_lineno) if found is not None else "an unknown line"

    def watch(self) -> None:
        """Be told of each pool from now on. Imports no driver."""
        from pgusher.client import exits

        remember = exits.remember

        def told(pool: Any) -> None:
            remember(pool)
            self.made(pool)

        exits.remember = told

    def left(self, before: set[Any], since: float) -> list[str]:
        """What a test that began at `since` has left: one line for each loan, and for each pool with sessions."""
        found = []
        for pool, line in list(self.opened.items()):
            name = getattr(pool, "name", "?")
            out = [seat for seat in list(pool._out.values()) if seat.since]  # noqa: SLF001  # a class of ours
            mine = [seat for seat in out if seat.since >= since and not self._excused(seat.since)]
            found += [f"a loan of pool {name!r} is out, borrowed at {seat.place} by {seat.who}" for seat in mine]
            if mine or pool in before or pool in self.excused or (_shared(pool) and not _lost(pool)):
                continue
            sessions = [seat.backend_pid for seat in list(pool._seats.values())]  # noqa: SLF001  # a class of ours
            # Of a pool that has just been made none may be there yet.
            coming = not sessions and not pool.closed and not _lost(pool) and pool._nconns > 0  # noqa: SLF001  # as above
            if coming or (sessions and (_lost(pool) or not pool.closed)):
                pids = (
                    f"sessions {', '.join(map(str, sessions))} are left on the server" if sessions else "it is opening"
                )
                found.append(f"pool {name!r}, made at {line}, was not closed: {pids}")
        return found

    def _excused(self, moment: float) -> bool:
        return any(begin <= moment <= end for begin, end in self.spans)


def _shared(pool: Any) -> bool:
    registry = sys.modules.get("pgusher.client.registry")
    return registry is not None and any(pool in entry.pools() for entry in registry.everything())


def _lost(pool: Any) -> bool:
    """Whether its event loop has ended without it."""
    loop = getattr(pool, "_loop", None)
    return loop is not None and bool(loop.is_closed())


_KEY = pytest.StashKey[Leaks]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting."""
    parser.addini(
        _INI, "fail tests that leave loans or sessions of pgusher's pools: fail (default) or off", default="fail"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    config.addinivalue_line("markers", f"{_MARKER}: the test leaves a loan or a pool on purpose")
    wanted = config.getini(_INI)
    if wanted not in {"fail", "off"}:
        raise pytest.UsageError(f"{_INI} is 'fail' or 'off', not {str(wanted)[:40]!r}")
    if wanted == "fail":
        config.stash[_KEY] = leaks = Leaks()
        leaks.watch()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Generator[None, object, object]:
    """What a fixture of a wider scope opens or borrows is not the test's."""
    leaks = request.config.stash.get(_KEY, None)
    if leaks is None or fixturedef.scope == "function":
        return (yield)
    before, begin = set(leaks.opened), time.monotonic()
    try:
        return (yield)
    finally:
        leaks.spans.append((begin, time.monotonic()))
        leaks.excused.update(set(leaks.opened) - before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """When the test began, and which pools were there."""
    leaks = item.config.stash.get(_KEY, None)
    if leaks is not None:
        item.stash[_BEFORE] = (set(leaks.opened), time.monotonic())
    return (yield)


_BEFORE = pytest.StashKey[tuple[set[Any], float]]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Look for what is left, after the fixtures of the test."""
    result = yield
    leaks, before = item.config.stash.get(_KEY, None), item.stash.get(_BEFORE, None)
    if leaks is None or before is None or not leaks.opened or item.get_closest_marker(_MARKER):
        return result
    deadline = time.monotonic() + _PATIENCE
    while (found := leaks.left(*before)) and time.monotonic() < deadline:
        time.sleep(0.02)
    if found:
        pytest.fail("the test has left something behind:\n" + "\n".join(f"  {line}" for line in found), pytrace=False)
    return result
