"""A question in a job.

expect: input-prompt
thread: asker
"""

import threading

from base import keep_stdin_open, session

keep_stdin_open()
conn = session()


def ask():
    input("overwrite? ")  # WAITS


asker = threading.Thread(target=ask, name="asker")
asker.start()
asker.join()
