"""open() of a FIFO that nobody reads.

expect: fifo-open
thread: MainThread
"""

import os
import tempfile

from base import session

conn = session()
with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, "fifo")
    os.mkfifo(path)
    open(path, "w")  # WAITS
