"""A person at a terminal, or logged in over ssh: who, and where."""

from __future__ import annotations

from pgusher.attribute.shell import SHELLS
from pgusher.attribute.tree import Lineage
from pgusher.model.pattern import pattern
from pgusher.model.process import Process
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where a person is."""

    user: str
    line: str
    """"pts/3", "tty1"; "ssh" for a login without a terminal; "tunnel" for a port that ssh forwards."""
    process: Process
    """The process that shows it: the shell, or the login."""
    evidence: str


# "sshd: bob@pts/0", "sshd: bob [priv]", from OpenSSH 9.8 on "sshd-session: bob@notty"; not the one that listens,
# "sshd: /usr/sbin/sshd -D [listener]", which is an ancestor of every login.
_LOGIN = pattern(r"sshd(?:-session)?: (?!unknown\b)([A-Za-z0-9_][\w.+-]*\$?)(?:@\S+| \[\w+\])?\s*$")


def ssh_user(process: Process) -> str | None:
    """Who is logged in by this process of sshd; None when it is none, or listens."""
    if not process.comm.startswith("sshd") or not process.argv:
        return None
    match = _LOGIN.match(process.argv[0])
    return match.group(1) if match else None


def is_multiplexer(process: Process) -> bool:
    """Whether it keeps terminals alive for a person who may have left: tmux, screen."""
    return process.comm.startswith(("tmux", "screen", "SCREEN", "zellij", "dtach", "abduco"))


def find_terminal(lineage: Lineage) -> Terminal | None:
    """The person who started a process, by its controlling terminal or by the login above it."""
    first = lineage[0]
    tunnel = ssh_user(first)
    if tunnel is not None:
        return Terminal(tunnel, "tunnel", first, f"sshd (pid {first.pid}) of {tunnel} forwards a port")
    for at, process in enumerate(lineage):
        if process.tty:
            return _at_terminal(lineage, at)
        user = ssh_user(process)
        if user is not None:
            return Terminal(user, "ssh", process, f"descends from the ssh login of {user} (pid {process.pid})")
        if at and is_multiplexer(process):
            break
    return None


def _at_terminal(lineage: Lineage, at: int) -> Terminal:
    top = at
    # sudo and su open a terminal of their own within the person's: the outermost is where the person is.
    while top + 1 < len(lineage) and lineage[top + 1].tty:
        top += 1
    shells = [process for process in lineage[at : top + 1] if process.comm in SHELLS]
    person = shells[-1] if shells else lineage[top]
    line = tty_name(lineage[top].tty)
    shown = lineage[at]
    how = "its controlling terminal" if at == 0 else f"the controlling terminal of its ancestor pid {shown.pid}"
    return Terminal(person.user or f"uid{person.uid}", line, person, f"{how} is {tty_name(shown.tty)}")


def tty_name(device: int) -> str:
    """A terminal's name by its device number, as proc(5) writes it: minor in bits 31-20 and 7-0, major in 19-8."""
    device &= 0xFFFFFFFF
    major, minor = (device >> 8) & 0xFFF, (device & 0xFF) | ((device >> 12) & 0xFFF00)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor if major > 136 else minor}"
    if major == 4:
        return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
    if major == 5:
        return "console" if minor == 1 else "tty"
    if major == 204:
        return f"ttyAMA{minor - 64}" if minor >= 64 else f"tty204.{minor}"
    return f"tty{major}.{minor}"
