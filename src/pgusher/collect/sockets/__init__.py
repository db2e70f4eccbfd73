"""Sockets: from a session to the process, by the kernel's own tables.

Netlink's socket diagnostics give every connection of a namespace with its inode, its uid and its cgroup, and need no
privilege. The links in /proc/PID/fd lead from the inode to the processes that have it open; for other users' processes
they need root, or CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH together.
"""

from __future__ import annotations

from pgusher.collect.sockets.facts import SocketFacts
from pgusher.collect.sockets.source import SocketSource

__all__ = ["SocketFacts", "SocketSource"]
