"""A client whose sockets never finish their authentication: each holds a slot that pg_stat_activity may not show.

It speaks the protocol itself: a startup packet for a role that must give a password, and then nothing.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct

from tests.bed.holders.sessions import stay
from tests.bed.holders.witness import Witness, ends


def main() -> None:
    """Open sockets that are asked for a password, and never answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True, help="an address, or the path of a unix socket")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--sessions", type=int, default=1)
    args = parser.parse_args()
    # PostgreSQL documentation, "Message Formats", StartupMessage: length, protocol 3.0, names and values.
    body = struct.pack("!i", 196608) + b"user\0" + args.user.encode() + b"\0database\0postgres\0\0"
    packet = struct.pack("!i", len(body) + 4) + body
    witness, keep, refusal = Witness(), [], ""
    for _ in range(args.sessions):
        if args.host.startswith("/"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(f"{args.host}/.s.PGSQL.{args.port}")
        else:
            sock = socket.create_connection((args.host, args.port), timeout=30)
        sock.sendall(packet)
        reply = sock.recv(4096)
        if reply[:1] != b"R":  # not a request for authentication: the server refuses
            refusal = reply.decode("utf-8", "backslashreplace").replace("\0", " ")
            break
        keep.append(sock)
        witness.sessions.append(
            {
                "backend_pid": 0,  # it is told after the authentication only
                "user": args.user,
                "database": "postgres",
                "application_name": None,
                "state": "authenticating",
                "fd": sock.fileno(),
                **ends(sock.fileno()),
            }
        )
    witness.write(refusal=refusal, held=[os.fstat(sock.fileno()).st_ino for sock in keep])
    stay()


if __name__ == "__main__":
    main()
