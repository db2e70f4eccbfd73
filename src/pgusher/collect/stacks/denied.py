"""Why a process could not be looked into, and the one thing that would open it."""

from __future__ import annotations

import os

from pgusher.collect import procfs
from pgusher.model.evidence import Gap

_CAP_SYS_PTRACE = 19  # linux/capability.h


def why_denied(proc: str, pid: int, uid: int | None = None) -> Gap:
    """The gap for a process whose threads may not be seen (ptrace(2), "Ptrace access mode checking"; Yama).

    `uid` is ours if not given.
    """
    scope = ptrace_scope(proc)
    ours = os.geteuid() if uid is None else uid
    if scope == 3:
        why = "kernel.yama.ptrace_scope is 3: nobody may look into a process"
        opens = "set kernel.yama.ptrace_scope = 2 in /etc/sysctl.d, and reboot: it cannot be lowered while it is 3"
    elif ours != 0:
        why = f"kernel.yama.ptrace_scope is {scope}" if scope and _is_ours(proc, pid, ours) else "permission denied"
        opens = "run pgusher as root"
    elif not may_trace(proc):
        why = "this root has no CAP_SYS_PTRACE"
        opens = "give pgusher's container CAP_SYS_PTRACE (docker run --cap-add SYS_PTRACE --pid host)"
    else:
        why = "permission denied by a security module or a user namespace"
        opens = "run pgusher outside of the container, as the host's root"
    return Gap("stacks", f"the threads of process {pid}", why, opens)


def ptrace_scope(proc: str) -> int:
    """Yama's setting; 0 without Yama."""
    try:
        return procfs.parse_number(procfs.read(f"{proc}/sys/kernel/yama/ptrace_scope", limit=16)) or 0
    except OSError:
        return 0


def may_trace(proc: str) -> bool:
    """Whether we have CAP_SYS_PTRACE."""
    try:
        status = procfs.read(f"{proc}/self/status")
    except OSError:
        return False
    at = status.find(b"\nCapEff:")
    try:
        return bool(int(status[at + 8 :].split(b"\n", 1)[0], 16) >> _CAP_SYS_PTRACE & 1)
    except ValueError:
        return False


def _is_ours(proc: str, pid: int, uid: int) -> bool:
    try:
        return os.stat(f"{proc}/{pid}").st_uid == uid
    except OSError:
        return False
