"""Who should notify raises first.

expect: condition-never-notified
thread: waiter
"""

import threading

from base import session

changed = threading.Condition()
done = []


def waiter():
    with changed:
        while not done:
            changed.wait()  # WAITS


def notifier():
    raise LookupError("nothing to tell of")  # RAISES


conn = session()
thread = threading.Thread(target=waiter, name="waiter")
thread.start()
threading.Thread(target=notifier).start()
thread.join()
