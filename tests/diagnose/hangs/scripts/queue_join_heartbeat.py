"""A worker ends of an error while another thread goes on beating.

expect: queue-join-no-worker
thread: MainThread
"""

import queue
import threading
import time

from base import session


class Importer:
    def __init__(self):
        self.jobs = queue.Queue()
        self.conn = session()

    def beat(self):
        while True:
            time.sleep(600)

    def work(self):
        while True:
            self.handle(self.jobs.get())
            self.jobs.task_done()

    def handle(self, job):
        if job == 2:
            raise KeyError(job)  # RAISES

    def run(self):
        for target in (self.beat, self.work):
            threading.Thread(target=target, daemon=True).start()
        for job in range(5):
            self.jobs.put(job)
        self.jobs.join()  # WAITS


Importer().run()
