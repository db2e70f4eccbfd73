"""Somebody left a breakpoint() in the job.

expect: debugger-prompt
thread: MainThread
"""

from base import keep_stdin_open, session

keep_stdin_open()
conn = session()
rows = 3
breakpoint()  # WAITS
print(rows)  # WAITS
