"""What pgusher never ends, whoever names it: told by the executable, so that no title or application_name opens a way.

To protect, a claim is enough: what says that it is a backup is spared as one, although anybody can say so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pgusher.attribute.programs import TABLE, ProgramKind, claimed
from pgusher.attribute.shell import basename
from pgusher.model.holder import Holder, HolderKind
from pgusher.model.process import Process
from pgusher.model.server import Server
from pgusher.model.session import Session
from pgusher.remedy.names import names_of

_NAMES: Mapping[str, str] = {
    **dict.fromkeys(
        ("systemd", "init", "upstart", "openrc-init", "runit", "runit-init", "s6-svscan", "s6-supervise", "launchd",
         "tini", "dumb-init", "docker-init", "catatonit", "runsv", "runsvdir", "supervisord", "monit", "dinit",
         "systemd-journal", "systemd-journald", "systemd-logind", "systemd-udevd", "systemd-networkd",
         "systemd-resolved", "dbus-daemon", "dbus-broker"), "it keeps the system or its services running"),
    **dict.fromkeys(
        ("containerd", "containerd-shim", "containerd-shim-runc-v1", "containerd-shim-runc-v2", "dockerd", "docker",
         "docker-proxy", "podman", "conmon", "crio", "runc", "crun", "youki", "kubelet", "lxc-start", "lxcfs", "lxd",
         "incusd", "k3s", "rootlessport", "slirp4netns", "pasta"), "it is a container runtime"),
    **dict.fromkeys(
        ("cron", "crond", "cronie", "fcron", "dcron", "supercronic", "anacron", "atd", "bcron-exec"),
        "it is a cron daemon: only the job's own processes are ended"),
    **dict.fromkeys(
        ("sshd", "sshd-session", "sshd-auth", "dropbear", "login", "agetty", "getty", "tmux", "tmux: server", "screen",
         "SCREEN", "mosh-server", "su", "sudo", "gdm", "gdm3", "lightdm", "sddm", "Xorg", "gnome-shell"),
        "it keeps a login"),
    **dict.fromkeys(("postgres", "postmaster", "edb-postgres"), "it is PostgreSQL itself"),
    **dict.fromkeys(
        ("pgbouncer", "odyssey", "pgpool", "pgcat", "pg_doorman", "pgagroal", "pgdog"),
        "it is a pooler: every client behind it would be cut off"),
    **dict.fromkeys(
        ("pg_basebackup", "pg_dump", "pg_dumpall", "pg_restore", "pg_receivewal", "pg_recvlogical", "pgbackrest",
         "wal-g", "wal-g-pg", "barman"), "it is a backup"),
    **dict.fromkeys(("patroni", "repmgrd", "repmgr", "pg_autoctl"), "it keeps the cluster up"),
    **dict.fromkeys(("pgusher",), "it is pgusher"),
}  # fmt: skip
"""By the name of the executable, or the short name that the kernel keeps."""
_BRIDGES = frozenset({"sudo", "su"})
_COMM = 15
"""Characters that the kernel keeps of a name (TASK_COMM_LEN, less one)."""
_SHORT = {name[:_COMM]: why for name, why in _NAMES.items()}
_KINDS = {
    ProgramKind.BACKUP: "it is a backup",
    ProgramKind.POOLER: "it is a pooler: every client behind it would be cut off",
    ProgramKind.PROXY: "it speaks for clients behind it: what they hold is theirs",
    ProgramKind.DATABASE: "it is PostgreSQL itself",
    ProgramKind.SUPERVISOR: "it keeps services running",
}
_CLUSTER = frozenset({"patroni", "repmgr", "pg_auto_failover"})
_BY_NAME = {program.name: program for program in TABLE}
_TYPES = {
    "walsender": "it is a walsender: a replica or a backup reads from it",
    "autovacuum worker": "it is autovacuum",
    "autovacuum launcher": "it is autovacuum",
    "parallel worker": "it works for another session",
}


def process_reason(pid: int, names: Sequence[str], own: Collection[int] = ()) -> str | None:
    """Why a process is never ended; None when it may be.

    `names`: of its executable (the path will do) and its short name as the kernel has it; of a script also that of the
    script. `own`: the pids of pgusher and of all that is above it.
    """
    if pid <= 1:
        return "it is process 1"
    if pid in own:
        return "pgusher itself runs in it or below it"
    for name in names:
        base = name.rpartition("/")[2]
        if why := _NAMES.get(base) or _SHORT.get(base):
            return why
        if base.startswith(("containerd-shim", "systemd-", "tmux: ")):
            return _NAMES["dockerd"] if base.startswith("containerd") else _NAMES["systemd"]
    return None


def known_reason(pid: int, names: Sequence[str], own: Collection[int] = (), *, below: bool = False) -> str | None:
    """As `process_reason`; `below`: it is not the process to be ended itself, but goes with it.

    There sudo and su only carry the job's command to another user.
    """
    return process_reason(pid, [name for name in names if not (below and basename(name) in _BRIDGES)], own)


def guarded(process: Process, own: Collection[int] = (), *, below: bool = False) -> str | None:
    """As `known_reason`, of a process that was looked at."""
    return known_reason(process.pid, names_of(process.comm, process.exe, process.argv), own, below=below)


def holder_reason(holder: Holder) -> str | None:
    """Why nothing of a holder is ever ended; None when it may be."""
    if holder.kind is HolderKind.OWN:
        return "it is pgusher"
    program = _BY_NAME.get(holder.program or "")
    if program is None:
        return None
    if program.id in _CLUSTER:
        return "it keeps the cluster up"
    # What a supervisor keeps running is not the supervisor.
    return None if program.kind is ProgramKind.SUPERVISOR else _KINDS.get(program.kind)


def session_reason(session: Session, server: Server) -> str | None:
    """Why a session is never ended; None when it may be. Where only its title was seen, its role's name must do."""
    if session.own:
        return "it is pgusher's own session"
    if session.backend_type != "client backend":
        known = _TYPES.get(session.backend_type)
        return known or f"it is no client's session but {session.backend_type or 'of no known kind'}"
    if session.superuser is True:
        return f"role {session.user or '?'} is a superuser"
    if session.superuser is None and session.user in {"postgres", server.os_user, None}:
        return "it may be a superuser's" if session.user is None else f"role {session.user} may be a superuser"
    said = claimed(session.application_name or "")
    if said is not None and said.kind is ProgramKind.BACKUP:
        return f"it says that it is {said.name}, a backup"
    if said is not None and said.id in _CLUSTER:
        return f"it says that it is {said.name}, which keeps the cluster up"
    return None
