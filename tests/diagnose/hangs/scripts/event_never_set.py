"""Who should set the event raises first.

expect: event-never-set
thread: MainThread
"""

import threading

from base import session

ready = threading.Event()


def load():
    table = {}
    print(table["rows"])  # RAISES
    ready.set()


def main():
    conn = session()
    threading.Thread(target=load).start()
    ready.wait()  # WAITS
    return conn


main()
