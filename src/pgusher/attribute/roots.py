"""What a process belongs to, before it has a name."""

from __future__ import annotations

from pgusher.attribute.programs import Program
from pgusher.model.evidence import Certainty
from pgusher.model.holder import ChainEnd, HolderKind, Link
from pgusher.model.process import Process
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Root:
    """One holder-to-be: all that is the same for every session that it holds."""

    key: tuple[str, ...]
    """Its identity: two processes belong to one holder when their roots have one key."""
    kind: HolderKind
    base: str
    """Its name, as long as no other holder has the same."""
    title: str
    qualifiers: tuple[str, ...] = ()
    """What tells it from others of the same base, the most telling first."""
    stop: str = ""
    """How a person stops it. {pids}: the processes that hold its sessions; {mains}: the topmost process of each run;
    {both}: these and those, where ending the one would leave the other."""
    end: ChainEnd = ChainEnd.HOLDER
    counts_runs: bool = False


@dataclass(slots=True, eq=False)
class Origin:
    """What one process belongs to, and how that is known. Not changed once it is made."""

    process: Process
    root: Root
    subject: str
    """The process, for a person: "python version_history.py (pid 4711)"."""
    links: tuple[Link, ...]
    """From the process on."""
    main: int
    """Pid of the topmost process of its run."""
    run: tuple[int, ...]
    """Identity of its run."""
    program: Program | None
    """The known program that it is, or that it is a part of."""
    programs: tuple[str, ...]
    """Ids of the known programs among it and its ancestors."""
    runtime: str
    """The family of interpreters that runs it."""
    conflicts: tuple[str, ...]
    local: bool
    """False when processes that are no ancestors were looked at too."""
    weakest: Certainty
    """The certainty of its links."""
