"""Hung or slow: what shows that a process does not go on, and how sure that is."""

from __future__ import annotations

from pgusher.diagnose.hangs.scene import Draft, Scene
from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence
from pgusher.model.values import dataclass

_STRONG_MS = 20_000
"""No voluntary context switch in any thread for so long was the mark of each of 45 hung jobs, and of no slow one."""
_AGE = 60_000_000
"""Microseconds: a session that has not changed for so long makes a short sample credible."""


@dataclass(frozen=True, slots=True)
class Stillness:
    """What is known of it."""

    still: bool | None
    certainty: Certainty
    evidence: tuple[Evidence, ...] = ()
    since: Micros | None = None


def stillness(scene: Scene, draft: Draft) -> Stillness:
    """Whether the process stands still. A sample of a second proves little; what the server knows reaches back."""
    process, evidence = scene.process, []
    threads = [wait.thread for wait in scene.threads]
    sampled = process.sampled_ms > 0 and any(thread.switched is not None for thread in threads)
    moved = sum(1 for thread in threads if thread.switched or thread.busy)
    since = _since(scene, draft)
    quiet = process.taken_at - since if since is not None else None
    if sampled:
        span = f"{process.sampled_ms / 1000:.1f} s"
        count = f"{len(threads) - moved} of {len(threads)} threads"
        if moved < len(threads):
            evidence.append(Evidence(f"{count} made no context switch in {span}"))
    if quiet is not None and quiet >= 1_000_000:
        evidence.append(Evidence(f"its sessions have not changed for {quiet // 1_000_000} s", Certainty.LIKELY))
    if draft.alive:
        certainty = Certainty.LIKELY if quiet is not None and quiet >= _AGE else Certainty.GUESSED
        return Stillness(True, certainty, tuple(evidence), since)
    if not sampled:
        return Stillness(None, Certainty.GUESSED, tuple(evidence), since)
    if process.sampled_ms >= _STRONG_MS and not moved:
        return Stillness(True, Certainty.PROVEN, tuple(evidence), since)
    long = quiet is not None and quiet >= _AGE
    return Stillness(not moved, Certainty.LIKELY if long and not moved else Certainty.GUESSED, tuple(evidence), since)


def _since(scene: Scene, draft: Draft) -> Micros | None:
    """The last time that anything of it was seen to move: when the last of its sessions changed its state."""
    changes = [s.state_change for s in scene.own_sessions() if s.state_change is not None]
    silent = [file.silent_ms for file in draft.leaf.thread.files if file.silent_ms is not None]
    if draft.mechanism == "socket-read-endless" and silent:
        return scene.process.taken_at - min(silent) * 1000
    return max(changes) if changes else None
