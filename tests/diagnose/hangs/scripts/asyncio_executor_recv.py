"""The loop waits for a function in its executor, which reads without a timeout.

expect: socket-read-endless
thread: asyncio_0
"""

import asyncio
import socket

from base import session, silent_server

address = silent_server()


def fetch():
    with socket.create_connection(address) as peer:
        return peer.recv(100)  # WAITS


async def main():
    await asyncio.get_running_loop().run_in_executor(None, fetch)


conn = session()
asyncio.run(main())
