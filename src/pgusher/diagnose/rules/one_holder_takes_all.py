"""one holder has taken more than half of the slots, and they run out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.crowd import is_pooler
from pgusher.diagnose.remedies import alter_role, look
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import count, listed
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.holder import HolderKind

WORST = Severity.CRITICAL

RATIO = 0.5
"""The share of the ordinary slots that one holder may take."""
YIELDS_TO = ("*",)


def check(holders: tuple[Held, ...], room: Room, ratio: float) -> Iterator[Finding]:
    """The one holder without which there would be room. A pooler is meant to hold them all."""
    if not room.near:
        return
    for held in holders:
        number = len(held.sessions)
        if held.holder.kind is HolderKind.UNKNOWN or is_pooler(held) or room.share(number) < ratio:
            continue
        states = Counter(s.state or "not known" for s in held.sessions)
        what = listed([f"{many} {state}" for state, many in states.most_common()])
        remedies = [look(held.name, why=True)]
        if held.holder.limit:
            remedies.append(Remedy(f"limit it where it is set: {held.holder.limit}"[:300], Safety.SAFE))
        users = sorted({s.user for s in held.sessions if s.user})
        if len(users) == 1:
            remedies.append(
                alter_role(
                    users[0],
                    f"CONNECTION LIMIT {max(1, int(ratio * room.ordinary))}",
                    "limit its role, if it has one of its own",
                    "its sessions above the limit are refused",
                )
            )
        yield Finding(
            "one-holder-takes-all",
            room.severity(number),
            Certainty.weakest(Certainty.LIKELY, held.holder.certainty),
            held.name,
            f"{held.name} holds {room.part(number)}",
            detail=(f"Its sessions: {what}.", f"They are held by {count(len(held.holder.processes), 'process')}."),
            evidence=(
                Evidence(f"{count(number, 'chain')} {'leads' if number == 1 else 'lead'} to it", held.holder.certainty),
            ),
            remedies=tuple(remedies),
            holder=held.name,
            sessions=held.holder.sessions,
            processes=held.holder.processes,
            slots=number,
            since=held.holder.since,
        )
