"""How long callers waited, as a histogram."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS_MS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000)


class Waits:
    """Waits of callers that were not served at once, and those that were, as waits of no time."""

    __slots__ = ("_counts", "at_once")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_MS) + 1)
        self.at_once = 0

    def add(self, seconds: float) -> None:
        """One caller has waited so long, with or without success."""
        self._counts[bisect_left(BOUNDS_MS, seconds * 1000.0)] += 1

    def measured(self) -> dict[str, int]:
        """Cumulative, as Prometheus has them: how many waited at most so long; `waits` is all of them."""
        total = self.at_once
        found = {}
        for bound, count in zip(BOUNDS_MS, self._counts, strict=False):
            total += count
            found[f"waits_le_{bound}ms"] = total
        found["waits"] = total + self._counts[-1]
        return found
