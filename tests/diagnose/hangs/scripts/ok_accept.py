"""Serves with plain sockets.

expect: none
thread: -
"""

import socket

from base import session

conn = session()
server = socket.create_server(("127.0.0.1", 0))
server.accept()  # WAITS
