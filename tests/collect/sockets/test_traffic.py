"""Bytes of a process's TCP sockets, as the kernel counts them."""

from __future__ import annotations

import os
import socket

from pgusher.collect.sockets.traffic import bytes_moved


def test_what_is_sent_and_received_is_counted_and_what_others_do_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        other, _ = server.accept()
        with other:
            before = bytes_moved([os.getpid()])
            client.sendall(b"x" * 1000)
            while not other.recv(1, socket.MSG_PEEK):
                pass
            after = bytes_moved([os.getpid()])
            assert before is not None
            assert after is not None
            assert after - before >= 1000
            assert bytes_moved([]) == 0
            # a process without sockets, and one that is not there
            assert bytes_moved([2, 1 << 22]) == 0
