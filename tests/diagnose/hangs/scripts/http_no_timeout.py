"""urlopen() without a timeout.

expect: socket-read-endless
thread: MainThread
"""

import urllib.request

from base import session, silent_server

host, port = silent_server()
conn = session()
urllib.request.urlopen(f"http://{host}:{port}/")  # WAITS
