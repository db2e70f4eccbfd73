"""A future that nobody completes.

expect: future-never-done
thread: MainThread
"""

from concurrent.futures import Future

from base import session

conn = session()
answer = Future()
answer.result()  # WAITS
