"""Who acts: for the log. Names come from the environment and are hostile text; they prove nothing by themselves."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

from pgusher.collect import procfs
from pgusher.model.redact import redact_text

_LONGEST = 200
_TOLD = ("SUDO_USER", "SUDO_UID", "SSH_CLIENT", "SSH_CONNECTION", "LOGNAME")


def who(environ: Mapping[str, str] | None = None, proc: str = "/proc") -> dict[str, object]:
    """Who runs this: by the kernel (uid, effective uid, audit login) and by what sudo and sshd have left word of."""
    environ = os.environ if environ is None else environ
    uid, euid = os.getuid(), os.geteuid()
    found: dict[str, object] = {"uid": uid, "user": _name(uid), "pid": os.getpid()}
    if euid != uid:
        found["euid"] = euid
    login = _login(proc)
    if login is not None:
        # Set once at login, and kept over su and sudo (source: pam_loginuid(8)).
        found["login_uid"], found["login"] = login, _name(login)
    for name in _TOLD:
        if environ.get(name):
            found[name.lower()] = redact_text(environ[name][:_LONGEST])
    return found


def _login(proc: str) -> int | None:
    try:
        return procfs.parse_number(procfs.read(f"{proc}/self/loginuid"))
    except OSError:
        return None


def _name(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
