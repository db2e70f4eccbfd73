"""A parent without a session raised before it put the sentinels: it waits for its children, they for its queue.

expect: mp-queue-no-process
thread: MainThread
"""

import multiprocessing

from base import session

context = multiprocessing.get_context("fork")


def write(queue):
    conn = session()
    while (number := queue.get()) is not None:  # WAITS
        conn.execute("select %s", (number,))


def main():
    queue = context.Queue()
    writers = [context.Process(target=write, args=(queue,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for line in ("1", "2", "n/a"):
        queue.put(int(line))  # RAISES
    for _ in writers:
        queue.put(None)
    for writer in writers:
        writer.join()


main()
