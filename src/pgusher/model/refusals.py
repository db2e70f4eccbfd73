"""Refusals for lack of slots, as a server's own log has them. Pure values."""

from __future__ import annotations

from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class LoggedRefusals:
    """Those of one look that are alike. Texts are hostile until rendered."""

    count: int
    words: str
    """The server's, in its own language, on one line; with who was refused, where the log tells it."""
    source: str
    """The log's file."""
    sqlstate: str | None = None
    """53300; None where the log does not have it, and the words told what it is."""
    ceiling: str | None = None
    """Which limit it was about, as `Ceiling` of the server has it; None when the words do not tell."""
