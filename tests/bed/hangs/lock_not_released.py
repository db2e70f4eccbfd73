"""A thread calls lock.acquire() and raises before lock.release(); the others block in it in an open transaction."""

from __future__ import annotations

import threading

from incident_db import Database  # type: ignore[import-not-found]  # beside it, when it runs

lock = threading.Lock()


def update(n: int) -> None:
    with Database() as cursor:
        cursor.execute("update job set v = v + 1 where id = %s", (n,))  # HOLDS
        lock.acquire()  # WAITS
    if n == 1:
        raise ZeroDivisionError("oops")  # RAISES
    lock.release()


def main() -> None:
    Database.init()
    first = threading.Thread(target=update, args=(1,))
    first.start()
    first.join()
    others = [threading.Thread(target=update, args=(n,)) for n in range(2, 5)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()


main()
