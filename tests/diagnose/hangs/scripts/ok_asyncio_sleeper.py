"""An asyncio program between two runs.

expect: none
thread: -
"""

import asyncio

from base import session

conn = session()
asyncio.run(asyncio.sleep(600))  # WAITS
