"""Main ends of an error before it puts the sentinels; the interpreter joins the consumers.

expect: queue-get-no-producer
thread: consumer-0
"""

import queue
import threading

from base import session

q = queue.Queue()
conn = session()


def consumer():
    while q.get() is not None:  # WAITS
        pass


def main():
    for n in range(3):
        threading.Thread(target=consumer, name=f"consumer-{n}").start()
    for n in range(5):
        q.put({"n": n}["m"] if n == 3 else n)  # RAISES
    for _ in range(3):
        q.put(None)


main()
