"""Which backend serves which client, by the slowest and plainest way: /proc/net/tcp and the descriptors of the server.

For what neither the client nor the server tells: the backend of a client that has not finished its authentication.
"""

from __future__ import annotations

import os


def served_by(postmaster: int, port: int) -> dict[int, int]:
    """From the port of each TCP client of this server to the pid of its backend."""
    clients: dict[int, int] = {}  # from the inode of the server's end to the port of the client's
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{postmaster}/net/{name}", encoding="ascii") as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except OSError:  # a kernel without IPv6 has no tcp6
            continue
        for row in rows:
            if int(row[1].rpartition(":")[2], 16) == port and row[3] != "0A":  # 0A: listening; proc(5)
                clients[int(row[9])] = int(row[2].rpartition(":")[2], 16)
    found = {}
    with open(f"/proc/{postmaster}/task/{postmaster}/children", encoding="ascii") as file:
        backends = [int(word) for word in file.read().split()]
    for backend in backends:
        try:
            for fd in os.listdir(f"/proc/{backend}/fd"):
                link = os.readlink(f"/proc/{backend}/fd/{fd}")
                if link.startswith("socket:[") and int(link[8:-1]) in clients:
                    found[clients[int(link[8:-1])]] = backend
        except OSError:  # it ended while we looked
            continue
    return found
