"""A consumer reads what a broker at any port sends, in a loop.

expect: none
thread: -
"""

import socket

from base import session, silent_server

conn = session()
conn.execute("select 1")
peer = socket.create_connection(silent_server())
peer.sendall(b"BLPOP jobs 0\r\n")
while True:
    if not peer.recv(100):  # WAITS
        break
