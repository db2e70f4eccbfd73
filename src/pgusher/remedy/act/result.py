"""What came of one step, before it is dated and numbered."""

from __future__ import annotations

from pgusher.model.plan import OutcomeKind
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """As `Outcome`."""

    kind: OutcomeKind
    text: str
    hint: str = ""
    seen_after: str = ""
