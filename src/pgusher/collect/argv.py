"""Command lines: /proc/PID/cmdline as words, redacted and bounded."""

from __future__ import annotations

from pgusher.model.redact import HIDDEN, redact_argv, redact_text
from pgusher.model.text import decode

READ = 65536
"""Bytes that are read of a command line."""
WORDS = 256
"""Words that are kept; the mark behind them tells how many are not."""
WORD = 4096
"""Characters that are kept of a word; the mark behind them tells how many are not."""

_TORN = 2048  # no token or key that can be told from other words is longer


def parse(raw: bytes, limit: int = READ) -> tuple[str, ...]:
    """The words of /proc/PID/cmdline: redacted, decoded, bounded. Empty for a kernel thread or a zombie.

    A program may write its title over its arguments (setproctitle(3)): then it is one word with blanks, and what is
    left of the old arguments is NULs. So an empty last argument cannot be told from such a rest, and is left out.
    `limit` is how much was read: that many bytes may be a torn command line.
    """
    words = [decode(word) for word in raw.rstrip(b"\0").split(b"\0", WORDS)] if raw.strip(b"\0") else []
    if len(words) == 1:
        words[0] = words[0].rstrip()
    if len(raw) >= limit and words:
        words[-1] = _without_torn_secret(words[-1])
    more = words[WORDS].count("\0") + 1 if len(words) > WORDS else 0
    shown = tuple(shorten(word) for word in redact_argv(words[:WORDS]))
    return (*shown, f"[+{more} words]") if more else shown


def _without_torn_secret(word: str) -> str:
    """The last word of a command line that did not end where reading did.

    A secret may have lost the end that it is known by: the "@" of a URL, the last letters of a token. So whatever
    might be one goes, back to the last blank.
    """
    start = max(word.rfind(" "), word.rfind("\t"), word.rfind("\n")) + 1
    scheme = word.find("://", start)
    keep = scheme if scheme >= 0 else max(start, len(word) - _TORN)
    return word[:keep] + HIDDEN


def command(text: str) -> str:
    """A command as a crontab holds it, so that it equals the word that a shell was given after -c."""
    return shorten(redact_text(text))


def shorten(word: str) -> str:
    """The word, or its beginning with a mark that tells how much is not shown. To be called after redaction only."""
    return word if len(word) <= WORD else f"{word[:WORD]}[+{len(word) - WORD} characters]"
