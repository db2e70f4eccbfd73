"""What would open what was denied: the remedy depends on who asks."""

from __future__ import annotations

import os


def to_read_files(uid: int | None = None) -> str:
    """The remedy when a file or a directory may not be read. `uid` is ours if not given."""
    return "run pgusher as root" if _uid(uid) else "give pgusher CAP_DAC_READ_SEARCH: this root may not read all files"


def to_see_processes(uid: int | None = None) -> str:
    """The remedy when another process may not be looked into (ptrace(2), "Ptrace access mode checking")."""
    if _uid(uid):
        return "run pgusher as root"
    return "give pgusher CAP_SYS_PTRACE (in a container: --cap-add SYS_PTRACE --pid host)"


def _uid(uid: int | None) -> int:
    return os.geteuid() if uid is None else uid
