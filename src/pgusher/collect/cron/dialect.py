"""The cron daemons read one format in different ways. What differs, and which daemon a host has.

Source of each fact: the daemons' own parsers. Debian's cron 3.0pl1-162 (entry.c, env.c, user.c, do_command.c,
database.c with all Debian patches), cronie 1.5 (the same files), busybox 1.36 (miscutils/crond.c).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from pgusher.collect import rooted
from pgusher.model.pattern import pattern
from pgusher.model.values import dataclass, replace

_CLASSICAL = pattern(r"[A-Za-z0-9_-]+").fullmatch
_LSB_HIERARCHY = pattern(r"_?([a-z0-9_.]+-)+[a-z0-9]+").fullmatch
_LSB_TRADITION = pattern(r"[a-z0-9][a-z0-9-]*").fullmatch
_LSB_LEFT_OVER = pattern(r"[a-z0-9-].*dpkg-(old|dist)").fullmatch
_RED_HAT_LEFT_OVER = pattern(r"[.#].*|.*(~|,v|,|\.rpmsave|\.rpmorig|\.rpmnew|\.swp|\.cfsaved)", re.S).fullmatch


def classical_name(name: str) -> bool:
    """Debian's cron.d and run-parts: a dot anywhere means that the file is ignored."""
    return _CLASSICAL(name) is not None


def lsb_name(name: str) -> bool:
    """The same with the option -l, or --lsbsysinit."""
    if _LSB_HIERARCHY(name):
        return not _LSB_LEFT_OVER(name)
    return _LSB_TRADITION(name) is not None


def red_hat_name(name: str) -> bool:
    """Cronie's cron.d and Red Hat's run-parts: all but what editors, RCS and rpm leave behind."""
    return not _RED_HAT_LEFT_OVER(name)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one daemon reads a crontab."""

    daemon: str
    name_counts: Callable[[str], bool] = classical_name
    """Whether a file of that name in /etc/cron.d is read."""
    dash: bool = False
    """A leading "-" (do not log the run) is allowed."""
    tilde: bool = False
    """A random value "5~20" is allowed."""
    lone_step: bool = False
    """A step without a range, "5/10", is allowed."""
    empty_value: bool = False
    """NAME= with nothing behind it is an environment line, not a syntax error."""
    last_newline: bool = True
    """The last line needs a newline to count."""
    whole_file: bool = False
    """One syntax error, or a missing last newline, and no line of the file is run."""
    percent: bool = True
    """The command ends at the first % without a backslash."""
    halves_backslashes: bool = True
    """Two backslashes in front of that become one."""
    longest: int = 131_071
    """The most bytes of a command."""


VIXIE = Dialect("Debian's cron", whole_file=True, longest=998)
CRONIE = Dialect("cronie", red_hat_name, dash=True, tilde=True, halves_backslashes=False)
BUSYBOX = Dialect("busybox crond", lone_step=True, empty_value=True, last_newline=False, percent=False)
UNKNOWN = Dialect("cron", dash=True, tilde=True, lone_step=True, empty_value=True)
"""When the daemon is not known: what any of them allows."""
ELSEWHERE = replace(UNKNOWN, name_counts=red_hat_name, last_newline=False)
"""For crontabs named in the configuration: those of whatever runs jobs in a container, too."""


def detect(root: str = "/") -> Dialect:
    """The daemon that is installed below `root`. Debian has cron, Red Hat and Arch crond, SUSE cronie as cron."""
    if rooted.signature(root, "/usr/sbin/crond"):
        return BUSYBOX if "busybox" in _target(root, "/usr/sbin/crond") else CRONIE
    if rooted.signature(root, "/usr/sbin/cron"):
        if rooted.signature(root, "/usr/share/doc/cronie") or not rooted.signature(root, "/etc/debian_version"):
            return CRONIE
        return replace(VIXIE, name_counts=lsb_name) if _has_option_l(root) else VIXIE
    return UNKNOWN


def _target(root: str, path: str) -> str:
    try:
        return os.path.realpath(rooted.real_path(root, path))
    except OSError:
        return ""


def _has_option_l(root: str) -> bool:
    """Whether Debian's cron is started with -l (man 8 cron): by EXTRA_OPTS in /etc/default/cron."""
    try:
        lines = rooted.read_file(root, "/etc/default/cron", 1 << 16).split(b"\n")
    except OSError:
        return False
    return any(re.match(rb"\s*EXTRA_OPTS=[\"']?([^\"']*\s)?-[a-zA-Z]*l", line) for line in lines)
