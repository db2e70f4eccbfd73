"""How to bring a holder back after its processes were ended: the crontab's line, the unit, the command."""

from __future__ import annotations

from pgusher.attribute.shell import quote
from pgusher.diagnose.runs import place
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.jobs import CronEntry
from pgusher.model.process import Process
from pgusher.remedy.plan.scene import Scene

_LONGEST = 500


def process_undo(scene: Scene, holder: Holder | None, root: Process, held: tuple[Process, ...]) -> tuple[str, ...]:
    """Lines that say how what is ended comes back. Command lines are redacted, so a secret in one must be put back."""
    if holder is not None and holder.kind is HolderKind.CRON:
        run = next((run for run in scene.runs if run.holder == holder.name and run.top == root.pid), None)
        run = run or next((run for run in scene.runs if run.holder == holder.name), None)
        entries = run.entries if run is not None else ()
        if entries:
            return tuple(_cut(f"{_when(e)}: {place(e)}: {e.schedule} {e.command}".strip()) for e in entries[:8])
    if holder is not None and holder.kind is HolderKind.UNIT:
        name = holder.stop.partition("systemctl ")[2] if holder.stop else ""
        start = name.replace("stop ", "start ", 1).partition(";")[0]
        made = any(unit.transient and start.endswith(f" {quote(unit.name)}") for unit in scene.facts.units)
        if start and not made:  # of one that was made at run time nothing is left to be started
            return (f"systemctl {start}",)
    if holder is not None and holder.kind is HolderKind.CONTAINER:
        # What ran in it is not started by its command here: that would run on the host, with the host's files.
        return _container(holder)
    first = next((process for process in (root, *held) if len(process.argv) > 1 and "-c" not in process.argv[:2]), root)
    words = " ".join(quote(word) for word in first.argv) or first.comm
    where = f"cd {quote(first.cwd)} && " if first.cwd and not first.cwd.endswith(" (deleted)") else ""
    who = first.user or str(first.uid)
    return (_cut(f"as {who}: {where}{words}"),)


def _when(entry: CronEntry) -> str:
    return "cron starts it again at " + ("the next boot" if entry.schedule.strip() == "@reboot" else "its time")


def _container(holder: Holder) -> tuple[str, ...]:
    """By the way its runtime is told to stop it."""
    stop = (holder.stop or "").partition(";")[0].partition(", or ")
    program, _, rest = stop[0].partition(" ")
    if program in ("docker", "podman", "nerdctl") and rest.startswith("stop "):
        return (f"{program} start {rest[5:]}, unless its restart policy has done so",)
    if program == "lxc-stop":
        return (f"lxc-start {rest}, or {stop[2].replace('lxc stop ', 'lxc start ', 1)}",)
    if program in ("kubectl", "crictl"):
        return (f"Kubernetes starts it again by itself, unless its restartPolicy is Never: {holder.title}",)
    return (f"its runtime starts it: {holder.title}",)


def session_undo() -> tuple[str, ...]:
    """A session comes back by its client alone."""
    return ("nothing to do: its client, if it lives, opens a new session when it needs one",)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
