"""Main raises; a thread that is no daemon reads from a peer without a timeout.

expect: socket-read-endless
thread: fetch
"""

import socket
import threading

from base import session, silent_server

address = silent_server()
conn = session()


def fetch():
    peer = socket.create_connection(address)
    peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
    peer.recv(100)  # WAITS


threading.Thread(target=fetch, name="fetch").start()
raise ValueError("main failed")  # RAISES
