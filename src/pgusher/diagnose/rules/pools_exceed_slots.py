"""what the holders may take adds up to more than the server has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pgusher.diagnose.case import Held
from pgusher.diagnose.crowd import is_pooler
from pgusher.diagnose.remedies import look
from pgusher.diagnose.room import Room
from pgusher.diagnose.text import listed
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence, Finding, Remedy, Safety, Severity
from pgusher.model.holder import Chain, HolderKind, LinkKind
from pgusher.model.pools import PoolLimit

WORST = Severity.CRITICAL
RATIO = 1.0
"""The share of the ordinary slots to which all that may be taken may add up."""
_TAKEN = 0.75
"""The share that must be taken before what may come is worth a word."""
_POOLED = frozenset({HolderKind.SERVICE, HolderKind.UNIT, HolderKind.CONTAINER, HolderKind.SCRIPT})


def check(
    holders: tuple[Held, ...], chains: dict[int, Chain], room: Room, pools: tuple[PoolLimit, ...], ratio: float
) -> Iterator[Finding]:
    """By their own files where they may be read; else each process may take what the busiest like it has."""
    if room.taken < _TAKEN * room.ordinary:
        return
    told: list[tuple[Held, int, str]] = []
    guessed = False
    for held in holders:
        own = len(held.sessions)
        most, how = own, "has"
        limits = [pool.limit for pool in pools if pool.program == held.holder.program and pool.about]
        if limits and all(limits):
            most, how = max(own, sum(limits)), "by its files"
        elif room.near and held.holder.kind in _POOLED and not is_pooler(held):
            counts = _by_process(held, chains)
            if len(counts) > 1 and max(counts.values()) * len(counts) > own:
                most = max(counts.values()) * len(counts)
                how = f"{len(counts)} processes x {max(counts.values())}"
                guessed = True
        told.append((held, most, how))
    total = sum(most for _, most, _ in told)
    beyond = [(held, most, how) for held, most, how in told if most > len(held.sessions)]
    if not beyond or total <= ratio * room.ordinary:
        return
    listing = listed([f"{held.name} {most} ({how})" for held, most, how in sorted(told, key=lambda one: -one[1])], 6)
    severity = Severity.CRITICAL if room.full else Severity.WARNING if room.near else Severity.NOTE
    yield Finding(
        "pools-exceed-slots",
        severity,
        Certainty.GUESSED if guessed else Certainty.LIKELY,
        "server",
        f"the holders may take {total} slots, and {room.ceilings.ordinary} are there for them",
        detail=(f"They may take: {listing}.",),
        evidence=tuple(
            Evidence(f"{held.name} holds {len(held.sessions)}, and may take {most}: {how}", Certainty.GUESSED)
            for held, most, how in beyond[:6]
        ),
        remedies=(
            look(None),
            Remedy(
                "give each a share, so that the sum fits: the size of its pool x the number of its processes",
                Safety.SAFE,
            ),
        ),
    )


def _by_process(held: Held, chains: dict[int, Chain]) -> Counter[int]:
    counts: Counter[int] = Counter()
    for session in held.sessions:
        chain = chains.get(session.pid)
        for link in chain.links if chain is not None else ():
            if link.kind is LinkKind.PROCESS and link.pid is not None:
                counts[link.pid] += 1
                break
    return counts
