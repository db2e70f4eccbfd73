"""The listener of a logging queue has ended.

expect: logging-queue-full
thread: worker
"""

import logging
import logging.handlers
import queue
import threading

from base import session

q = queue.Queue(5)


class Blocking(logging.handlers.QueueHandler):
    def enqueue(self, record):
        self.queue.put(record)  # WAITS


class Broken(logging.Handler):
    def handle(self, record):
        raise OSError("disk full")


log = logging.getLogger("job")
log.addHandler(Blocking(q))
listener = logging.handlers.QueueListener(q, Broken())
listener.start()
conn = session()


def work():
    for n in range(50):
        log.error("row %s", n)  # WAITS


worker = threading.Thread(target=work, name="worker")
worker.start()
worker.join()
