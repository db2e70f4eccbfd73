"""A decorator takes a lock on one line with the call; a decorated function calls another.

expect: lock-taken-twice
thread: MainThread
"""

import functools
import threading

from base import session

lock = threading.Lock()
conn = session()
conn.execute("select 1")


def locked(function):
    @functools.wraps(function)
    def inner(*args):
        # fmt: off
        with lock: return function(*args)  # noqa: E701 - on one line is what it is about  # WAITS
        # fmt: on

    return inner


@locked
def total(n):
    return n + subtotal(n)


@locked
def subtotal(n):
    return n


total(1)
