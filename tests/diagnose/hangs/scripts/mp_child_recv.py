"""A child process reads from a peer without a timeout; its parent joins it.

expect: socket-read-endless
thread: MainThread
"""

import multiprocessing
import socket

from base import session, silent_server

address = silent_server()


def child():
    with socket.create_connection(address) as peer:
        peer.recv(100)  # WAITS


process = multiprocessing.get_context("fork").Process(target=child)
process.start()
conn = session()
process.join()
