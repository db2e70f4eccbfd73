"""Each error leaks one permit, until main waits for one.

expect: semaphore-not-released
thread: MainThread
"""

import threading

from base import session

permits = threading.Semaphore(2)


def work(n):
    if n % 2:
        raise ValueError(n)  # RAISES
    permits.release()


conn = session()
for n in range(9):
    permits.acquire()  # WAITS
    threading.Thread(target=work, args=(n,)).start()
