"""What a command does that stays: one look goes without a collector of garbage, and a process of weeks must not."""

from __future__ import annotations

import gc


def stays() -> None:
    """Garbage is collected from here on; what is loaded by now need never be looked at."""
    gc.enable()
    gc.freeze()
