"""A library waits in C for what only it knows.

expect: unknown
thread: MainThread
"""

import ctypes

from base import session

conn = session()
semaphore = ctypes.create_string_buffer(64)
libc = ctypes.CDLL(None)
libc.sem_init(semaphore, 0, 0)
libc.sem_wait(semaphore)  # WAITS
