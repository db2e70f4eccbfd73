"""From drafts to holders: what their sessions, processes and runs have in common, and what a person can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pgusher.attribute.drafts import Draft
from pgusher.attribute.programs import RUNTIMES
from pgusher.attribute.roots import Origin, Root
from pgusher.attribute.shell import basename
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.process import Process

LISTED = 24
"""Pids that a stop command lists."""

_NEVER = 1 << 62


def gather(
    drafts: Sequence[Draft], names: Mapping[tuple[str, ...], str], labels: Mapping[str, str]
) -> tuple[Holder, ...]:
    """The holders of these sessions, most slots first, then by name."""
    groups: dict[tuple[str, ...], list[Draft]] = {}
    for draft in drafts:
        groups.setdefault(draft.root.key, []).append(draft)
    holders = [_holder(names[key], group, labels) for key, group in groups.items()]
    holders.sort(key=lambda holder: (-len(holder.sessions), holder.name))
    return tuple(holders)


def _holder(name: str, group: list[Draft], labels: Mapping[str, str]) -> Holder:
    key = group[0].root.key
    found: dict[int, Origin] = {}
    counts: dict[int, int] = {}
    for draft in group:
        for origin in draft.origins:
            if origin.root is draft.root or origin.root.key == key:
                pid = origin.process.pid
                found[pid] = origin
                counts[pid] = counts.get(pid, 0) + 1
    origins = sorted(found.values(), key=lambda o: (o.process.start_time, o.process.pid))
    root = origins[0].root if origins else min((draft.root for draft in group), key=lambda r: (r.title, r.stop))
    sessions = [draft.session for draft in group]
    starts = [session.backend_start for session in sessions if session.backend_start is not None]
    slots = sorted(
        (_NEVER if session.backend_start is None else session.backend_start, session.pid)
        for session in sessions
        if session.takes_slot
    )
    program, limit = _program((origin, counts[pid]) for pid, origin in found.items())
    return Holder(
        name=name,
        kind=root.kind,
        title=_title(name, root, group, origins, labels),
        sessions=tuple([pid for _, pid in slots]),
        processes=tuple(origin.process.pid for origin in origins),
        runs=len({origin.run for origin in origins}) if root.counts_runs else 0,
        program=program,
        limit=limit or None,
        stop=_stop(root, origins) or None,
        since=min(starts, default=None),
        certainty=Certainty.weakest(*{draft.weakest for draft in group}),
    )


def _program(counted: Iterable[tuple[Origin, int]]) -> tuple[str | None, str]:
    """The known program that most sessions are of, and what limits it; else what limits its language's pools."""
    programs: dict[tuple[str, str], int] = {}
    for origin, sessions in counted:
        if origin.program is not None:
            key = origin.program.name, origin.program.limit
        else:
            key = "", RUNTIMES.get(origin.runtime, "")
        programs[key] = programs.get(key, 0) + sessions
    if not programs:
        return None, ""
    name, limit = min(programs, key=lambda key: (-programs[key], key))
    return name or None, limit


def _stop(root: Root, origins: Sequence[Origin]) -> str:
    if "{" not in root.stop:
        return root.stop
    pids = _list(sorted({origin.process.pid for origin in origins}))
    mains = _list(sorted({origin.main for origin in origins}))
    both = _list(sorted({pid for origin in origins for pid in (origin.main, origin.process.pid)}))
    return root.stop.replace("{pids}", pids).replace("{mains}", mains).replace("{both}", both)


def _list(pids: Sequence[int]) -> str:
    more = f" ... ({len(pids)} in all)" if len(pids) > LISTED else ""
    return " ".join(map(str, pids[:LISTED])) + more


def _title(name: str, root: Root, group: Sequence[Draft], origins: Sequence[Origin], labels: Mapping[str, str]) -> str:
    title = root.title
    if root.kind is HolderKind.REMOTE:
        said = _said(group)
        title += f": its sessions say that they are {said}" if said else ""
    elif root.kind is HolderKind.TERMINAL and origins:
        commands = sorted({_program_of(origin) for origin in origins})
        title += f": {', '.join(commands[:4])}{' ...' if len(commands) > 4 else ''}"
    label = labels.get(name) or (labels.get(root.key[1]) if root.kind is HolderKind.REMOTE else None)
    return f"{label}: {title}" if label else title


def _program_of(origin: Origin) -> str:
    process: Process = origin.process
    if origin.program is not None:
        return origin.program.name
    return basename(process.argv[0]) if process.argv else process.comm


def _said(group: Sequence[Draft]) -> str:
    """What remote sessions say of themselves, which anybody can set: the most frequent first."""
    counts: dict[str, int] = {}
    for draft in group:
        said = draft.session.application_name
        if said:
            counts[said[:64]] = counts.get(said[:64], 0) + 1
    ranked = sorted(counts, key=lambda said: (-counts[said], said))
    return ", ".join(f"{said!r}" for said in ranked[:4]) + (" ..." if len(ranked) > 4 else "")
