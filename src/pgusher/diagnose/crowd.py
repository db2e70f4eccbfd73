"""What kind of program a holder is, for rules that are about a kind."""

from __future__ import annotations

from pgusher.attribute.programs import TABLE, ProgramKind, claimed
from pgusher.diagnose.case import Held
from pgusher.model.holder import HolderKind
from pgusher.model.session import Session

_KINDS = {program.name: program.kind for program in TABLE}
_SEEN = frozenset({HolderKind.REMOTE, HolderKind.HIDDEN, HolderKind.UNKNOWN})
"""Kinds of holders whose processes are not seen: there only application_name may tell."""


def kind_of(held: Held) -> ProgramKind | None:
    """What the holder's program is for; None when it is in no table."""
    return _KINDS.get(held.holder.program or "")


def is_pooler(held: Held) -> bool:
    """Whether it takes slots for the clients behind it: many sessions of one holder are its purpose."""
    return kind_of(held) in (ProgramKind.POOLER, ProgramKind.PROXY)


def said_kind(held: Held, session: Session) -> ProgramKind | None:
    """What a session says to be, by its application_name, where its process is not seen to say otherwise."""
    if held.holder.kind not in _SEEN or not session.application_name:
        return None
    program = claimed(session.application_name)
    return program.kind if program is not None else None
