"""Comments as some releases of Grafana take them out: with no eye for quotes.

Before these releases they are sent as they are, and later ones see that "--" in a string is none: both make what
`encode` makes. In between (12.4.0 to 12.4.2, and others of early 2026) two plain patterns took out whatever looked like
a comment (source: grafana/grafana, pull request 121772, which ended it).
"""

from __future__ import annotations

import re

from pgusher.attribute.panels.encode import quotes

_LINE = re.compile(r"--[^\n]*")
_BLOCK = re.compile(r"/\*.*?\*/", re.S)


def forms(sql: str) -> tuple[str, ...]:
    """The SQL as it is; and without what looks like a comment, where something in quotes does."""
    if not _looks_like_one(sql) or not any(map(_looks_like_one, quotes(sql))):
        return (sql,)
    return sql, _BLOCK.sub("", _LINE.sub("", sql))


def _looks_like_one(text: str) -> bool:
    return "--" in text or "/*" in text
