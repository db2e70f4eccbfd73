"""How many bytes the TCP sockets of certain processes have moved.

/proc/PID/io counts what goes by read(2) and write(2), not by send(2) and recv(2) as libpq does; the kernel counts per
socket (struct tcp_info). Of unix sockets it counts nothing: what is moved there is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable

from pgusher.collect.sockets import inet
from pgusher.collect.sockets.netlink import BUFFER, SOCK_DIAG, Netlink, NetlinkError
from pgusher.collect.sockets.scan import FdScanner


def bytes_moved(pids: Iterable[int], proc: str = "/proc") -> int | None:
    """Sent and acknowledged, and received, by all their open TCP sockets; None where the kernel does not tell.

    Only in our own network namespace. A sum that has changed is traffic; it gets smaller when a socket is closed.
    Costs a walk of all TCP sockets of the host. Raises nothing.
    """
    scanner = FdScanner(proc)
    mine: set[int] = set()
    for pid in pids:
        try:
            mine.update(inode for _, inode in scanner.sockets(pid))
        except OSError:
            continue
    if not mine:
        return 0
    try:
        kernel = Netlink(SOCK_DIAG, bytearray(BUFFER))
    except OSError:
        return None
    try:
        answer = inet.Ends(None)
        kernel.ask(inet.dump_request(0, server=False, info=True), answer)
    except NetlinkError:
        return None
    finally:
        kernel.close()
    return sum((end.acked or 0) + (end.received or 0) for end in answer.ends if end.inode in mine)
