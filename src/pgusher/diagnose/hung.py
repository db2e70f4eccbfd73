"""What a hang adds to a finding: the line, the sentence, the evidence. For the rules that tell of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence
from pgusher.model.stacks import Hang

UNKNOWN = "unknown"
"""The mechanism of a process that does not move, for a reason that is not known."""


def certainty_of(hang: Hang) -> Certainty:
    """How sure it is that the process hangs, and for that reason.

    Over the second of a look many a thread stands still: that alone makes a mechanism that was found no guess, but
    keeps it from being proven.
    """
    if hang.still_certainty is Certainty.GUESSED:
        return Certainty.weakest(hang.certainty, Certainty.LIKELY)
    return Certainty.weakest(hang.certainty, hang.still_certainty)


def is_told(hang: Hang) -> bool:
    """Whether it is fit to be told as a finding by itself: it has a reason, and that is more than a guess.

    What moved between the samples is slow. What only might hang, for a reason that is only guessed, may as well be at
    work, unless a traceback of it was found: its stack is shown where somebody asks for it.
    """
    if hang.still is False or hang.mechanism == UNKNOWN:
        return False
    return hang.certainty is not Certainty.GUESSED or (hang.raised is not None and hang.raised.error is not None)


def stands_still(hang: Hang) -> bool:
    """Whether it has not moved for long enough to be worth a word, though why is not known."""
    return hang.still is True and hang.mechanism == UNKNOWN and hang.still_certainty is not Certainty.GUESSED


_BEHIND = frozenset({"file-lock", "advisory-lock-held", "blocked-by-idle-session"})


def behind(hang: Hang, known: Mapping[int, Hang]) -> int | None:
    """The process that hangs at the end of this one's chain of waiting; None when it waits for no other that hangs.

    A ring, in which each waits for the next, has no end: there nobody is behind another.
    """
    seen, end = {hang.pid}, None
    while hang.mechanism in _BEHIND:
        further = next((pid for pid in hang.pids if pid in known), None)
        if further is None:
            break
        if further in seen:
            return None
        seen.add(further)
        end, hang = further, known[further]
    return end


def basename(path: str) -> str:
    """The last part of a path."""
    return path.rpartition("/")[2]


def where(hang: Hang) -> str:
    """ "Queue.join at version_history.py:57"; what of it is known."""
    place = f"{basename(hang.file)}:{hang.line}" if hang.file else ""
    return " at ".join(part for part in (hang.waits_in or "", place) if part)


def sentences(hang: Hang) -> tuple[str, ...]:
    """What it waits for, what is missing, and what brought it about."""
    found = [f"{hang.sentence.rstrip('.')}."]
    if hang.missing and hang.missing not in hang.sentence:
        found.append(f"What is missing is {hang.missing}.")
    if hang.raised is not None:
        raised = hang.raised
        error = f" ({raised.error})" if raised.error else ""
        place = f"{basename(raised.file)}:{raised.line}"
        found.append(f"What brought it about{error}: {place}, {raised.certainty.value}: {raised.how}.")
    return tuple(found)


def evidence_of(hang: Hang) -> tuple[Evidence, ...]:
    """The facts it rests on, and the line that raised."""
    raised = hang.raised
    return (*hang.evidence, *((Evidence(raised.how, raised.certainty),) if raised is not None else ()))


def surest(hangs: Iterable[Hang]) -> Hang | None:
    """The one of several that tells most: the surest, with a line, of a known mechanism."""
    ranked = sorted(
        hangs, key=lambda h: (h.mechanism == UNKNOWN, certainty_of(h).rank, h.file is None, h.since or 1 << 62, h.pid)
    )
    return ranked[0] if ranked else None
