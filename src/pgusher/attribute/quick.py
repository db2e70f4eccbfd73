"""Links and chains by the ten thousand, at a third of the cost of their constructors.

A frozen dataclass sets each field through `object.__setattr__`, which for a server with 10,000 sessions is half of what
attribution costs. Here a value is filled while it is of a class that is not frozen, and then becomes the frozen one.
Python allows that only between classes of the same slots: should a field be added to the model and be forgotten here,
the first call raises TypeError.
"""

from __future__ import annotations

from typing import Any, cast

from pgusher.model.evidence import Certainty
from pgusher.model.holder import Chain, ChainEnd, Link, LinkKind


class _Link:
    __slots__ = ("certainty", "evidence", "kind", "pid", "subject")


class _Chain:
    __slots__ = ("backend_start", "conflicts", "end", "holder", "links", "pid")


def quick_link(kind: LinkKind, subject: str, certainty: Certainty, evidence: str, pid: int | None = None) -> Link:
    """As `Link(...)`."""
    made: Any = _Link()
    made.kind = kind
    made.subject = subject
    made.certainty = certainty
    made.evidence = evidence
    made.pid = pid
    made.__class__ = Link
    return cast("Link", made)


def quick_chain(
    pid: int, backend_start: int | None, end: ChainEnd, holder: str, links: tuple[Link, ...], conflicts: tuple[str, ...]
) -> Chain:
    """As `Chain(...)`."""
    made: Any = _Chain()
    made.pid = pid
    made.backend_start = backend_start
    made.end = end
    made.holder = holder
    made.links = links
    made.conflicts = conflicts
    made.__class__ = Chain
    return cast("Chain", made)
