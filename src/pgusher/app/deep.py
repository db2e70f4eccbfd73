"""A look that goes down to the threads."""

from __future__ import annotations

from collections.abc import Callable

from pgusher.app.look import Look, Looker
from pgusher.app.request import Request
from pgusher.model.snapshot import Snapshot


class DeepLooker:
    """Looks as `Looker` does, then at the threads of the processes that matter."""

    def __init__(self, request: Request, choose: Callable[[Snapshot], frozenset[int] | None]) -> None:
        self._looker = Looker(request)
        self._choose = choose

    def look(self) -> Look:
        """One look."""
        return self._looker.look()

    def close(self) -> None:
        """Give every slot back."""
        self._looker.close()
