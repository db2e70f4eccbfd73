"""What the sockets tell, and what they do not."""

from __future__ import annotations

from pgusher.model.evidence import Gap
from pgusher.model.sockets import ClientSocket
from pgusher.model.values import dataclass

SOURCE = "sockets"
AS_ROOT = (
    "run pgusher as root, or give its Python the two capabilities CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
    " (either alone opens nothing)"
)


@dataclass(frozen=True, slots=True)
class SocketFacts:
    """The client's end of every session that the kernel showed, and the gaps."""

    sockets: tuple[ClientSocket, ...]
    gaps: tuple[Gap, ...] = ()


def number(count: int, one: str, many: str | None = None) -> str:
    """ "1 process", "2 processes"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def not_linux(system: str) -> Gap:
    """No other system tells whose socket it is in this way."""
    return Gap(SOURCE, "the processes behind the sessions", f"{system} is not Linux", "run pgusher on a Linux host")


def no_tables(why: str) -> Gap:
    """Neither netlink nor /proc/net could be read."""
    return Gap(SOURCE, "the sockets of the sessions", why, "mount /proc, and allow netlink sockets (NETLINK_SOCK_DIAG)")


def no_netlink(why: str) -> Gap:
    """Only /proc/net is left."""
    what = "idle times, cgroups and unix peers of the sessions' sockets"
    return Gap(
        SOURCE,
        what,
        f"no socket diagnostics: {why}",
        "modprobe tcp_diag unix_diag, and allow netlink sockets (NETLINK_SOCK_DIAG)",
    )


def no_unix(why: str) -> Gap:
    """The unix sockets could not be read."""
    return Gap(SOURCE, "the sessions over unix sockets", why, "modprobe unix_diag, and allow NETLINK_SOCK_DIAG")


def no_processes(why: str, sessions: int) -> Gap:
    """There is no /proc to look for owners in."""
    return Gap(SOURCE, f"the processes behind {number(sessions, 'session')}", why, "mount /proc", max(1, sessions))


def denied(processes: int, sessions: int) -> Gap:
    """Descriptors of other users' processes."""
    what = f"the open files of {number(processes, 'process', 'processes')}"
    return Gap(SOURCE, f"{what}: {_unseen(sessions)}", "permission denied", AS_ROOT, processes)


def hidden(sessions: int) -> Gap:
    """Other users' processes are not even listed."""
    what = f"the processes of other users: {_unseen(sessions)}"
    return Gap(SOURCE, what, "/proc is mounted with hidepid", AS_ROOT, sessions)


def nobody(sessions: int) -> Gap:
    """Everything could be read, and still nobody has it open."""
    why = "no process has them open: they are being passed on, or an io_uring or another PID namespace holds them"
    return Gap(SOURCE, f"the processes behind {number(sessions, 'session')}", why, "", sessions)


def spaces(count: int, why: str) -> Gap:
    """Network namespaces that are closed to us."""
    what = f"the sockets in {number(count, 'network namespace')}"
    return Gap(SOURCE, what, why.lower() or "permission denied", "run pgusher as root, or with CAP_SYS_ADMIN", count)


def unpaired(sessions: int, user: str | None) -> Gap:
    """Unix sockets of which it is not known which backend has them."""
    what = f"which of {number(sessions, 'unix-socket session')} is which backend's"
    opens = f"run pgusher as root or as the server's user{f' ({user})' if user else ''}"
    return Gap(SOURCE, what, "permission denied", opens, sessions)


def _unseen(sessions: int) -> str:
    return f"of {number(sessions, 'session')} only the user is known"
