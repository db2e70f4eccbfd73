"""Serves; nobody comes.

expect: none
thread: -
"""

import http.server
import threading

from base import session

conn = session()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
thread = threading.Thread(target=server.serve_forever)
thread.start()
thread.join()  # WAITS
