"""A regular expression that is compiled when it is first used.

A cold command loads seventy of them and uses twenty: compiling the others took a tenth of its time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

__all__ = ["pattern"]

if TYPE_CHECKING:
    from re import compile as pattern
else:

    def pattern(text, flags=0):
        """As `re.compile`, later. What is wrong with the text is told at the first use: each has a test."""
        return _Pattern(text, flags)


class _Pattern:
    """Stands in for the compiled one, whose methods it takes over."""

    def __init__(self, text: Any, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = re.compile(self._text, self._flags)
        for method in ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"):
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
