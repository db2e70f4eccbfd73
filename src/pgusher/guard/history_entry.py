"""One run of a job as the history keeps it."""

from __future__ import annotations

import json
from typing import Any

from pgusher.model.values import dataclass

Micros = int
_EVIDENCE = 40
"""Lines of evidence that are kept of one run."""
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One run. What is not known is None."""

    run: str
    """The run's own id, never used again."""
    job: str
    command: str
    """Without its secrets."""
    started: Micros
    """Microseconds since 1970, by the clock of the wall."""
    ending: str = "running"
    """How it ended, in the guard's words: "done", "failed", "limit", "thread", "skipped", ...; "running" while it has
    not, "lost" when its guard was killed before it could say."""
    ended: Micros | None = None
    duration: Micros | None = None
    """By a clock that nobody sets, so it need not be `ended - started`."""
    exit: int | None = None
    limit: Micros | None = None
    limit_source: str = ""
    """Where the limit comes from; "" when it was given."""
    peak_slots: int | None = None
    peak_memory: int | None = None
    """Bytes, summed over its processes."""
    evidence: tuple[str, ...] = ()
    uid: int | None = None
    guard_pid: int = 0
    guard_ticks: int = 0
    """Start of the guard, in clock ticks since boot, as field 22 of /proc/PID/stat: with the pid and the boot it is the
    identity of a process."""
    boot: str = ""
    output: str = ""
    """The file that holds the last part of its output while it runs; "" when there is none."""
    end_took: Micros | None = None
    """From the first signal to what was left of it until nothing was; None when nothing had to be ended."""

    @property
    def good(self) -> bool:
        """Whether it ended as it should, or still may; one that was skipped did neither well nor badly."""
        return self.ending in {"done", "running", "skipped"}


def dumped(entry: Entry) -> str:
    """As one line of JSON."""
    names = Entry.__slots__
    return json.dumps({name: getattr(entry, name) for name in names}, ensure_ascii=True, separators=(",", ":"))


def bounded(entry: Entry) -> Entry:
    """The entry with no more evidence than is kept."""
    from pgusher.model.values import replace

    lines = [line[:_LONGEST] for line in entry.evidence]
    if len(lines) > _EVIDENCE:
        lines = [*lines[: _EVIDENCE - 1], f"and {len(lines) - _EVIDENCE + 1} more lines"]
    return replace(entry, evidence=tuple(lines), command=entry.command[:_LONGEST], job=entry.job[:200])


def loaded(text: str | bytes) -> Entry | None:
    """The entry of that line; None when it is torn or of another make. Keys of a later version are passed over."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    known: dict[str, Any] = {}
    for name, kinds in _KINDS.items():
        value = data.get(name, _MISSING)
        if value is _MISSING:
            continue
        if name == "evidence":
            if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
                return None
            value = tuple(value)
        elif isinstance(value, bool) or not isinstance(value, kinds):
            return None
        known[name] = value
    if not {"run", "job", "command", "started"} <= known.keys():
        return None
    return Entry(**known)


_MISSING = object()
_NONE = type(None)
_KINDS: dict[str, Any] = {
    "run": str, "job": str, "command": str, "started": int, "ending": str, "ended": (int, _NONE),
    "duration": (int, _NONE), "exit": (int, _NONE), "limit": (int, _NONE), "peak_slots": (int, _NONE),
    "peak_memory": (int, _NONE), "evidence": list, "uid": (int, _NONE), "guard_pid": int, "guard_ticks": int,
    "boot": str, "output": str, "limit_source": str, "end_took": (int, _NONE),
}  # fmt: skip
