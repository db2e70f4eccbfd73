"""An asyncio server; nobody comes.

expect: none
thread: -
"""

import asyncio

from base import session


async def main():
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    async with server:
        await server.serve_forever()


conn = session()
asyncio.run(main())  # WAITS
