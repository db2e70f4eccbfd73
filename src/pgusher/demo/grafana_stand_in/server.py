"""The stand-in behind HTTP, on a free port of the loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pgusher.demo.grafana_stand_in.api import StandIn


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stand_in: StandIn, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.stand_in = stand_in
        self.one_by_one = threading.Lock()

    def service_actions(self) -> None:
        """Pools that are due are closed, also when nobody asks."""
        if self.one_by_one.acquire(blocking=False):
            try:
                self.stand_in.pools.tick()
            finally:
                self.one_by_one.release()


class _Handler(BaseHTTPRequestHandler):
    server_version = "stand-in-for-grafana"
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        body = self.rfile.read(int(length)) if length.isdigit() else b""
        with self.server.one_by_one:
            headers = {name.title(): value for name, value in self.headers.items()}
            status, told = self.server.stand_in.handle(self.command, self.path, headers, body)
        data = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of http.server
        """Nothing: a test reads `StandIn.asked`."""


@contextmanager
def serving(stand_in: StandIn, port: int = 0) -> Iterator[str]:
    """The stand-in's URL, for as long as the block lasts."""
    server = _Server(stand_in, port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="stand-in-for-grafana", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        stand_in.pools.close()
