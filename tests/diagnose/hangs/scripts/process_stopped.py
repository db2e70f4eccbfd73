"""Somebody stopped the job, and forgot it.

expect: process-stopped
thread: MainThread
"""

import os
import signal

from base import session

conn = session()
os.kill(os.getpid(), signal.SIGSTOP)  # WAITS
