"""The producer ends of an error; main waits for its results.

expect: queue-get-no-producer
thread: MainThread
"""

import queue
import threading

from base import session

results = queue.Queue()


def producer():
    rows = [1, 2, 0]
    for row in rows:
        results.put(10 // row)  # RAISES
    results.put(None)


def main():
    conn = session()
    threading.Thread(target=producer, name="producer").start()
    while results.get() is not None:  # WAITS
        pass
    return conn


main()
