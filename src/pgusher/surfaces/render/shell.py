"""Words as a shell takes them: in a module of its own, since each command needs it and few need the advice."""

from __future__ import annotations

import re

_SAFE = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def quote(word: str) -> str:
    """The word as a shell takes it (as shlex.quote, which costs an import)."""
    return word if _SAFE.fullmatch(word) else "'" + word.replace("'", "'\"'\"'") + "'"
