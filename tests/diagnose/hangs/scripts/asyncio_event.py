"""A task waits for an event that a failed one should have set.

expect: asyncio-nothing-to-wake
thread: MainThread
"""

import asyncio

from base import session


async def producer(event):
    raise ValueError("failed")


async def consumer(event):
    await event.wait()


async def main():
    event = asyncio.Event()
    await asyncio.gather(producer(event), consumer(event), return_exceptions=True)


conn = session()
asyncio.run(main())  # WAITS
