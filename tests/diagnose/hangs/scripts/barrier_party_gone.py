"""One of three parties of a barrier raises before it arrives.

expect: barrier-never-full
thread: party-0
"""

import threading

from base import session

barrier = threading.Barrier(3)


def party(n):
    if n == 2:
        raise ArithmeticError("party 2")  # RAISES
    barrier.wait()  # WAITS


conn = session()
parties = [threading.Thread(target=party, args=(n,), name=f"party-{n}") for n in range(3)]
for one in parties:
    one.start()
for one in parties:
    one.join()
