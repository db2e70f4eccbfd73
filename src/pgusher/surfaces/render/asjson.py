"""The JSON form of every screen: plain dictionaries, whose shape `schema.py` describes.

It is wider than a snapshot file, which holds facts alone: here are the sums, holders and chains that follow from them.
Times are exact, in UTC; what is not known is null, never left out. Texts are as they were read (redacted, not cleaned):
JSON itself escapes control characters, and a program wants the bytes that it can compare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pgusher.model.evidence import Gap
from pgusher.model.findings import Diagnosis
from pgusher.model.holder import Chain, Holder
from pgusher.model.server import Limit
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.advice import Command
from pgusher.surfaces.render.doctor import Check
from pgusher.surfaces.render.find import Match
from pgusher.surfaces.render.findings_json import finding_json
from pgusher.surfaces.render.tally import Ceiling, Doing, by_sql, states, tally, unstarted

SCHEMA = 1
"""Raised when a key changes its meaning or goes; new keys may come without."""


def state_json(
    snapshots: Sequence[Snapshot],
    gaps: tuple[Gap, ...],
    elapsed_ms: float,
    commands: Sequence[Command] = (),
    diagnoses: Sequence[Diagnosis] = (),
) -> dict[str, Any]:
    """What `pgusher --json` prints. `diagnoses` are one for each snapshot, in their order, or none at all."""
    found = [[finding_json(finding) for finding in one.findings] for one in diagnoses] or [[] for _ in snapshots]
    return {
        "schema": SCHEMA,
        "kind": "state",
        "elapsed_ms": round(elapsed_ms, 3),
        "servers": [
            {**server_json(s), "holders": _holders(s), "findings": its} for s, its in zip(snapshots, found, strict=True)
        ],
        "gaps": [gap_json(gap) for gap in gaps],
        "next": [{"command": command.text, "reason": command.reason} for command in commands],
    }


def who_json(matches: Sequence[Match], gaps: tuple[Gap, ...], word: str | None) -> dict[str, Any]:
    """What `pgusher who --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "who",
        "word": word,
        "matches": [
            {
                "reading": match.reading,
                "server": server_json(match.snapshot),
                "holders": [_holder(holder, match.snapshot) for holder in match.holders],
                "sessions": _sessions(match.snapshot, match.chains),
            }
            for match in matches
        ],
        "gaps": [gap_json(gap) for gap in gaps],
    }


def doctor_json(checks: Sequence[Check]) -> dict[str, Any]:
    """What `pgusher doctor --json` prints."""
    names = ("name", "sight", "fact", "why", "opens")
    listed = [{name: getattr(check, name) for name in names} for check in checks]
    return {"schema": SCHEMA, "kind": "doctor", "checks": listed}


def error_json(message: str, detail: str | None, hint: str | None, code: int) -> dict[str, Any]:
    """What any command prints with --json when it failed; the same goes to standard error as text."""
    return {
        "schema": SCHEMA,
        "kind": "error",
        "message": message,
        "detail": detail,
        "hint": hint,
        "exit": code,
    }


def server_json(snapshot: Snapshot) -> dict[str, Any]:
    """One server: which it is, how it was seen, and its ceilings with both sides of every count."""
    facts, sums = snapshot.facts, tally(snapshot)
    server, view, ceilings, known = facts.server, facts.view, facts.ceilings, by_sql(snapshot)
    return {
        "host": server.host,
        "port": server.port,
        "version": server.version,
        "cluster_name": server.cluster_name,
        "started": words.iso(server.started) or None,
        "in_recovery": server.in_recovery,
        "taken_at": words.iso(facts.taken_at) or None,
        "status": sums.status.value,
        "finding": sums.status.finding,
        "taken": sums.taken,
        "unstarted": sums.unstarted,
        "max_connections": ceilings.max_connections if ceilings else None,
        "ceilings_from": ceilings.source if ceilings else None,
        "ceilings_certainty": ceilings.certainty.value if ceilings else None,
        "ordinary": _ceiling(sums.ordinary),
        "reserved": _ceiling(sums.reserved),
        "superuser": _ceiling(sums.superuser),
        "roles": [_limit(limit) for limit in ceilings.roles] if ceilings and known else None,
        "databases": [_limit(limit) for limit in ceilings.databases] if ceilings and known else None,
        "view": {
            "rung": view.rung.value,
            "role": view.role,
            "os_user": facts.host.user,
            "uid": facts.host.uid,
            "sees_all": view.sees_all,
            "refuses": view.refuses,
            "refuses_all": view.refuses_all,
        },
        "gaps": [gap_json(gap) for gap in facts.gaps],
    }


def _ceiling(ceiling: Ceiling | None) -> dict[str, int] | None:
    return None if ceiling is None else {"taken": ceiling.taken, "limit": ceiling.limit}


def _limit(limit: Limit) -> dict[str, Any]:
    return {"name": limit.name, "taken": limit.used, "limit": limit.limit}


def gap_json(gap: Gap) -> dict[str, Any]:
    """What could not be read."""
    return {"source": gap.source, "what": gap.what, "why": gap.why, "opens": gap.opens, "count": gap.count}


def _holders(snapshot: Snapshot) -> list[dict[str, Any]]:
    counts = states(snapshot)
    holders = []
    for holder in snapshot.holders:
        doing = counts.get(holder.name, Counter())
        holders.append({**_holder(holder, snapshot), "states": {state.value: doing[state] for state in Doing}})
    return holders


def _holder(holder: Holder, snapshot: Snapshot) -> dict[str, Any]:
    since = holder.since
    return {
        "name": holder.name,
        "kind": holder.kind.value,
        "title": holder.title,
        "slots": len(holder.sessions),
        "unstarted": unstarted(snapshot).get(holder.name, 0),
        "sessions": list(holder.sessions),
        "processes": list(holder.processes),
        "runs": holder.runs,
        "program": holder.program,
        "limit": holder.limit,
        "stop": holder.stop,
        "oldest_session": words.iso(since) or None,
        "oldest_seconds": None if since is None else max(0, (snapshot.facts.taken_at - since) // 1_000_000),
        "certainty": holder.certainty.value,
    }


def _sessions(snapshot: Snapshot, chains: Sequence[Chain]) -> list[dict[str, Any]]:
    sessions = {session.pid: session for session in snapshot.facts.sessions}
    panels = _panels(snapshot)
    return [
        {**_session(sessions[c.pid]), "chain": _chain(c), "panel": panels.get(c.pid)}
        for c in chains
        if c.pid in sessions
    ]


def _panels(snapshot: Snapshot) -> dict[int, dict[str, Any]]:
    """By server process what each statement of a Grafana's says of its saved query."""
    look = snapshot.facts.panels
    if look is None or not look.queries:
        return {}
    from pgusher.surfaces.render.panels import sent_json  # late: mostly there is none

    return {one.pid: sent_json(one, look.url) for one in look.sent}


def _session(session: Session) -> dict[str, Any]:
    return {
        "pid": session.pid,
        "backend_start": words.iso(session.backend_start) or None,
        "backend_type": session.backend_type,
        "takes_slot": session.takes_slot,
        "own": session.own,
        "user": session.user,
        "superuser": session.superuser,
        "database": session.database,
        "application_name": session.application_name,
        "client": {
            "transport": session.client.transport.value,
            "host": session.client.host,
            "port": session.client.port,
        },
        "state": session.state,
        "state_change": words.iso(session.state_change) or None,
        "query_start": words.iso(session.query_start) or None,
        "xact_start": words.iso(session.xact_start) or None,
        "wait_event_type": session.wait_event_type,
        "wait_event": session.wait_event,
        "blocked_by": list(session.blocked_by),
        "query": session.query,
        "seen_by": session.seen_by.value,
    }


def _chain(chain: Chain) -> dict[str, Any]:
    return {
        "holder": chain.holder,
        "end": chain.end.value,
        "certainty": chain.certainty.value,
        "links": [
            {
                "kind": link.kind.value,
                "subject": link.subject,
                "pid": link.pid,
                "certainty": link.certainty.value,
                "evidence": link.evidence,
            }
            for link in chain.links
        ],
        "conflicts": list(chain.conflicts),
    }
