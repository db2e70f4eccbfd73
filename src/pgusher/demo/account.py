"""Operating-system accounts: whom a server runs as, and what that account may reach."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the operating system."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Supplementary groups."""


def account(name: str) -> Account:
    """The account of that name. Raises KeyError when there is none."""
    entry = pwd.getpwnam(name)
    groups = tuple(sorted(os.getgrouplist(name, entry.pw_gid)))
    return Account(name, entry.pw_uid, entry.pw_gid, groups)


def own_account() -> Account:
    """The account this process runs as."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # common in containers
        name = str(uid)
    return Account(name, uid, os.getegid(), tuple(sorted(os.getgroups())))


def server_account() -> Account:
    """Whom a server may run as: ourselves, or as root `postgres`, else `nobody`: PostgreSQL refuses root.

    No account is ever made. Raises KeyError when root has neither.
    """
    if os.geteuid() != 0:
        return own_account()
    try:
        return account("postgres")
    except KeyError:
        return account("nobody")


def allows(path: str, who: Account, wanted: int) -> bool:
    """Whether the mode bits let `who` use `path` (wanted: os.R_OK | os.X_OK ...) and search every directory above.

    Access lists are not looked at, so that the answer can be too strict or too lax where they are used.
    """
    if who.uid == 0:
        return os.path.exists(path)
    path = os.path.realpath(path)
    while True:
        try:
            status = os.stat(path)
        except OSError:
            return False
        if status.st_uid == who.uid:
            bits = status.st_mode >> 6
        elif status.st_gid == who.gid or status.st_gid in who.groups:
            bits = status.st_mode >> 3
        else:
            bits = status.st_mode
        if bits & wanted != wanted:
            return False
        if path == "/":
            return True
        path, wanted = os.path.dirname(path), os.X_OK


def safe_from_others(path: str) -> bool:
    """Whether only root and we can change what is in the directory, or put another in its place."""
    ours = {0, os.geteuid()}
    path = os.path.abspath(path)
    last = True
    while True:
        try:
            status = os.lstat(path)
        except OSError:
            return False
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in ours:
            return False
        writable = status.st_mode & 0o022
        if writable and (last or not status.st_mode & stat.S_ISVTX):
            return False
        if path == "/":
            return True
        path, last = os.path.dirname(path), False
