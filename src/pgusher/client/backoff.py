"""How long to wait before trying again: from 10 ms, doubling, with full jitter, up to a cap."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST = 0.01
"""Seconds: a slot may be free again as soon as another session ends, and most live for milliseconds."""

Uniform = Callable[[float, float], float]


class Backoff:
    """The delays between tries of one thing. `cap` is in seconds; `uniform` as `random.uniform`."""

    __slots__ = ("_uniform", "cap", "first", "tries")

    def __init__(self, cap: float, *, first: float = FIRST, uniform: Uniform = random.uniform) -> None:
        self.cap = cap
        self.first = first
        self.tries = 0
        self._uniform = uniform

    def next(self) -> float:
        """Seconds to wait before the next try.

        Full jitter while it grows, so that processes that failed together do not come back together; at the cap only
        a tenth, since the cap is what was promised: neither later nor much more often.
        """
        ceiling = self.first * 2.0 ** min(self.tries, 60)
        self.tries += 1
        if ceiling < self.cap:
            return self._uniform(0.0, ceiling)
        return self._uniform(0.9, 1.0) * self.cap

    def reset(self) -> None:
        """It worked."""
        self.tries = 0
