"""Others are told what became of a run, and the run does not mind when they cannot be."""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pgusher.guard.tell import ping, request_to, web_address
from tests.guard.shapes import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "state")
    (tmp_path / "state").mkdir()
    yield bench
    bench.close()


@pytest.fixture
def asked() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers.get("Content-Length", 0)))))
            self.send_response(200)
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the base class has these names

        def log_message(self, *_: object) -> None:
            """Nobody listens."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/secret", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_start_failure_and_figures_are_told(
    bench: Bench, asked: tuple[str, list[tuple[str, bytes]]], tmp_path: Path
) -> None:
    url, got = asked
    told = tmp_path / "told"
    options = ["--ping", url, "--webhook", f"{url}/hook", "--textfile", str(tmp_path)]
    options += ["--on-failure", f"echo $PGUSHER_JOB $PGUSHER_EXIT >{told}"]
    code, out, err = bench.run("tells", ["sh", "-c", "sleep 1; exit 4"], *options)
    assert (code, out, err) == (4, "", "")
    assert {path for path, _ in got} == {"/secret/start", "/secret/fail", "/secret/hook"}
    hook = json.loads(next(body for path, body in got if path.endswith("hook")))
    assert (hook["job"], hook["exit"], hook["ending"]) == ("tells", 4, "failed")
    assert told.read_text() == "tells 4\n"
    figures = (tmp_path / "pgusher_run_tells.prom").read_text()
    assert 'pgusher_run_exit_code{job="tells"} 4\n' in figures


def test_who_cannot_be_told_is_a_line_and_no_failure(bench: Bench, tmp_path: Path) -> None:
    url = "http://127.0.0.1:1/secret"
    code, _, err = bench.run("deaf", ["true"], "--ping", url, "--textfile", str(tmp_path / "none"))
    assert code == 0
    assert "could not reach 127.0.0.1" in err
    assert "secret" not in err
    assert "could not write" in err


def test_only_the_web_is_asked() -> None:
    for text in ("file:///etc/passwd", "http://a b", "ftp://a"):
        with pytest.raises(ValueError, match="https"):
            web_address(text)


@pytest.mark.parametrize(
    "text", ["http://h:port/x", "http://[::1/x", "http://", "http:///x", "https://gr\xf6\xdfe.example/"]
)
def test_what_is_no_address_is_told_before_the_job_is_started(text: str) -> None:
    with pytest.raises(ValueError, match="an address"):
        web_address(text)


def test_user_and_password_of_an_address_are_sent_as_such(asked: tuple[str, list[tuple[str, bytes]]]) -> None:
    url, _ = asked
    request = request_to(url.replace("://", "://bob:p%40ss@"), None, "text/plain")
    assert request.get_header("Authorization") == "Basic " + b64encode(b"bob:p@ss").decode()
    assert (request.full_url, ping(url.replace("://", "://bob:p%40ss@"))) == (url, None)


@pytest.mark.parametrize("option", ["--ping", "--webhook"])
def test_who_speaks_no_http_costs_a_line_and_no_exit_code(bench: Bench, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                with suppress(OSError), server.accept()[0] as one:
                    one.recv(1 << 16)
                    one.sendall(b"SSH-2.0-x\r\n")

        threading.Thread(target=answer, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        code, _, err = bench.run("spoken", ["sh", "-c", "exit 7"], option, address)
    assert (code, err.count("\n"), "could not reach 127.0.0.1" in err) == (7, 1, True), err
