"""Processes and the host they run on."""

from __future__ import annotations

from pgusher.model.address import Micros
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class ProcessKey:
    """The identity of a process: a pid alone is reused, also over a reboot (source: proc(5), field 22 of stat)."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Process:
    """One process, as /proc showed it. `argv` is redacted; texts are hostile until rendered."""

    pid: int
    start_ticks: int
    """Start time in clock ticks since boot (field 22 of /proc/PID/stat)."""
    start_time: Micros
    ppid: int
    comm: str
    uid: int
    """The effective uid."""
    user: str | None = None
    """The name of `uid`, None when it has none."""
    argv: tuple[str, ...] = ()
    """Empty for a kernel thread, a zombie, or when it cannot be read."""
    state: str = "?"
    """One letter, as in proc(5): R, S, D, Z, T ..."""
    sid: int = 0
    """Session id: the pid of the session's leader, which may be gone."""
    tty: int = 0
    """Device number of the controlling terminal; 0 for none."""
    cwd: str | None = None
    """Its working directory; ends in " (deleted)" when that is gone."""
    exe: str | None = None
    exe_deleted: bool = False
    """Its executable was removed or replaced since it started, as an upgrade does."""
    cgroup: str | None = None
    """The path in the unified hierarchy, or that of name=systemd on a version 1 host; of several the one that names a
    container, where only some of them do."""
    loginuid: int | None = None
    """Audit login uid; None when unset (4294967295) or not readable."""
    audit_session: int | None = None
    """Audit session id (/proc/PID/sessionid): ties an orphan to the cron run or login that started it."""
    netns: int | None = None
    """Inode of its network namespace; None when not readable."""
    threads: int = 1

    def key(self, boot_id: str) -> ProcessKey:
        """Its identity on the host booted as `boot_id`."""
        return ProcessKey(self.pid, self.start_ticks, boot_id)


@dataclass(frozen=True, slots=True)
class Host:
    """The host on which pgusher looked."""

    name: str
    boot_id: str = ""
    boot_time: Micros = 0
    kernel: str = ""
    uid: int = 0
    """The effective uid of pgusher."""
    user: str | None = None
    addresses: tuple[str, ...] = ()
    """Numeric addresses of this host's own interfaces, loopback included."""
    netns: int | None = None
    """Inode of pgusher's own network namespace."""
    pid: int = 0
    """The pid of pgusher."""
