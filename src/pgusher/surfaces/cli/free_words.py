"""What the words of `pgusher free` mean: a holder, a finding or a process; a length of time, a state, a limit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pgusher.errors import UsageError
from pgusher.model.plan import Lever
from pgusher.surfaces.cli.who import not_found
from pgusher.surfaces.render.find import Found, Match, find

if TYPE_CHECKING:
    from pgusher.model.findings import Diagnosis
    from pgusher.model.snapshot import Snapshot
    from pgusher.remedy.plan import Wanted

_UNITS = {"ms": 1000, "s": 10**6, "": 10**6, "m": 60 * 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_STATES = (
    "idle", "active", "idle in transaction", "idle in transaction (aborted)", "fastpath function call", "disabled",
)  # fmt: skip


def duration(text: str) -> int:
    """ "10min" in microseconds, as PostgreSQL writes lengths of time; a bare number is seconds. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,9})(?:\.(\d{1,3}))? ?(ms|s|min|m|h|d|)", text.strip(), re.ASCII)
    if found is None:
        raise ValueError("a length of time: 90s, 10min, 2h, 3d")
    return int(float(f"{found[1]}.{found[2] or 0}") * _UNITS[found[3]])


def states(text: str) -> tuple[str, ...]:
    """ "idle,idle-in-transaction" as the server writes it. Raises ValueError."""
    plain = {re.sub(r"[^a-z]+", " ", state).strip(): state for state in _STATES}
    found = []
    for part in text.split(","):
        state = plain.get(re.sub(r"[^a-z]+", " ", part.lower()).strip())
        if state is None:
            raise ValueError(f"one of {', '.join(_STATES[:4])}")
        found.append(state)
    return tuple(dict.fromkeys(found))


def role_limit(text: str) -> tuple[str, int]:
    """ "grafana=20". Raises ValueError."""
    role, equals, most = text.rpartition("=")
    if not equals or not role or not re.fullmatch(r"-1|\d{1,6}", most, re.ASCII):
        raise ValueError("ROLE=N, with N from 0 on, or -1 for no limit")
    return role, int(most)


class meaning:  # noqa: N801 - reads as the function that it is
    """What a word means among the servers that were looked at; None means all that is leaked."""

    def __init__(self, word: str | None) -> None:
        self._word = word

    def processes(self, snapshot: Snapshot) -> frozenset[int] | None:
        """The processes whose threads tell whether it hangs; None for a finding, which may be about any."""
        if self._word is None or self._is_rule():
            return None
        found = find([snapshot], self._word)
        return frozenset(pid for match in found.matches for holder in match.holders for pid in holder.processes)

    def choose(
        self, snapshots: Sequence[Snapshot], diagnoses: Sequence[Diagnosis], wish: dict[str, Any]
    ) -> tuple[Snapshot, Diagnosis, Wanted]:
        """The server that is meant, what was found about it, and what is wanted there.

        Raises UsageError for a word that means nothing here, or something on two servers.
        """
        from pgusher.remedy.plan import Wanted

        pairs = list(zip(snapshots, diagnoses, strict=True))
        if not pairs:
            raise UsageError("there is no server to plan for")
        word = self._word
        if word is None:
            return (*pairs[0], Wanted(_chosen_by(wish), **wish))
        findings = [
            (snapshot, diagnosis, tuple(f.id for f in diagnosis.findings if word in (f.id, f.rule)))
            for snapshot, diagnosis in pairs
        ]
        if any(ids for *_, ids in findings):
            snapshot, diagnosis, ids = self._one([one for one in findings if one[2]])
            return snapshot, diagnosis, Wanted(word, findings=ids, **wish)
        if self._is_rule():
            raise UsageError(f"{word.partition(':')[0]} found nothing of that kind", hint="all findings: pgusher why")
        found = find(snapshots, word)
        if not found.matches:
            raise not_found(word, found)
        return self._of_match(found, pairs, wish)

    def _of_match(
        self, found: Found, pairs: list[tuple[Snapshot, Diagnosis]], wish: dict[str, Any]
    ) -> tuple[Snapshot, Diagnosis, Wanted]:
        from pgusher.remedy.plan import Wanted

        servers = {id(match.snapshot): match.snapshot for match in found.matches}
        snapshot, diagnosis = self._one([pair for pair in pairs if id(pair[0]) in servers])
        holders: list[str] = []
        sessions: list[int] = []
        processes: list[int] = []
        exact = False
        for match in found.matches:
            if match.reading == "holder":
                holders += [holder.name for holder in match.holders]
            elif match.reading in ("client process", "parent process") and wish["lever"] is not Lever.CANCEL:
                processes.append(int(self._word or ""))
            else:
                sessions += [chain.pid for chain in match.chains]
                exact = exact or match.reading == "server process"
        wanted = Wanted(
            self._word,
            holders=tuple(dict.fromkeys(holders)),
            sessions=tuple(dict.fromkeys(sessions)),
            exact=exact,
            processes=tuple(dict.fromkeys(processes)),
            **wish,
        )
        if processes and (wish["idle_for"] is not None or wish["states"]):
            wanted = _by_sessions(found.matches, wanted)
        return snapshot, diagnosis, wanted

    def _one(self, found: list[Any]) -> Any:
        """Raises UsageError when it means something on several servers."""
        if len(found) > 1:
            ports = " or ".join(str(one[0].facts.server.port) for one in found)
            raise UsageError(f'"{self._word}" is on {len(found)} servers', hint=f"name one: --port {ports}")
        return found[0]

    def _is_rule(self) -> bool:
        from pgusher.diagnose.engine import names

        return self._word is not None and self._word.partition(":")[0] in names()


def _chosen_by(wish: dict[str, Any]) -> str | None:
    """The options that choose, where no word does: "--idle-for --state"."""
    given = {"--idle-for": wish["idle_for"], "--state": wish["states"], "--cancel": wish["lever"] is Lever.CANCEL}
    given["--drain"] = wish["lever"] is Lever.DRAIN
    return " ".join(name for name, value in given.items() if value) or None


def _by_sessions(matches: Sequence[Match], wanted: Wanted) -> Wanted:
    """A process that was named together with a filter: its sessions are meant, not its end."""
    from pgusher.model.values import replace

    pids = dict.fromkeys(chain.pid for match in matches for chain in match.chains)
    return replace(wanted, processes=(), sessions=tuple(pids))
