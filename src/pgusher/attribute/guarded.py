"""What `pgusher run` calls a job, by its command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from zlib import crc32

from pgusher.attribute.command import argv_label
from pgusher.attribute.shell import basename, simple_commands
from pgusher.model.pattern import pattern

_NOT_A_NAME = pattern(r"[^A-Za-z0-9._-]+")
_OPTION = pattern(r"(?P<name>--[a-z-]+|-[a-z])(?:=?(?P<value>.+))?", re.S)
_WITHOUT_VALUE = frozenset({"--isolate", "--idle-kill", "--no-fail-on-thread-error", "--verbose", "-v"})


def default_name(argv: Sequence[str]) -> str:
    """What a job without a name is called: its script, so that it keeps its name when its options change.

    A name is a lock: what is the same for different jobs (`timeout`, `sudo`, `manage`, `python -c`) would keep one from
    running beside the other, or end it.
    """
    label = argv_label(argv)
    name = _NOT_A_NAME.sub("-", label).strip("-._")[:55]
    if label.isascii() and len(label) <= len(name) + 9:
        return name or "job"
    # What is cut off, or written in other letters, tells two jobs apart, too.
    return f"{name or 'job'}-{crc32(label.encode('utf-8', 'surrogateescape')):08x}"


def names_in(text: str) -> list[str]:
    """The names of the jobs that a line of a crontab runs under the guard."""
    found = []
    for words in simple_commands(text):
        at = next(
            (at for at, pair in enumerate(pairwise(words)) if (basename(pair[0]), pair[1]) == ("pgusher", "run")), -1
        )
        if at >= 0:
            found.append(_name_of(words[at + 2 :]))
        else:  # in the text for another shell
            found += [name for word in words if "pgusher" in word and " run" in word for name in names_in(word)]
    return found


def _name_of(words: Sequence[str]) -> str:
    name = ""
    at = 0
    while at < len(words) and (option := _OPTION.fullmatch(words[at])) is not None:
        value = option["value"] or ""
        at += 1
        if not value and option["name"] not in _WITHOUT_VALUE:
            value = words[at] if at < len(words) else ""
            at += 1
        if option["name"] in ("-n", "--name"):
            name = value
    return name or default_name([word for word in words[at : at + 1] if word != "--"] + list(words[at + 1 :]))
