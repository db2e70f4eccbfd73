"""The real server on a real socket: its limits, its stream, its end."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from pgusher.demo.server import EmbeddedServer
from tests.bed.bed import Bed


class Running:
    """`pgusher serve` on a free port."""

    def __init__(self, bed: Bed, state: Path, *words: str, before: Sequence[str] = ()) -> None:
        """`before`: the words of a program that runs it."""
        command = [
            *before,
            sys.executable,
            "-m",
            "pgusher",
            "serve",
            "--dsn",
            bed.server.dsn(),
            "--listen",
            "0",
            "--every",
            "0.5",
        ]
        environment = {**os.environ, "PGUSHER_STATE": str(state), "PYTHONPATH": "src"}
        self.process = subprocess.Popen(
            [*command, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise AssertionError(self.process.communicate()[1])
        self.base, _, self.token = self.url.partition("?token=")
        self.port = httpx.URL(self.base).port or 0
        self.client = httpx.Client(base_url=self.base, headers={"authorization": f"Bearer {self.token}"}, timeout=30)

    def close(self) -> tuple[int, str]:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said


@pytest.fixture(scope="module")
def bed(server: EmbeddedServer) -> Iterator[Bed]:
    bed = Bed(server)
    yield bed
    bed.close()


@pytest.fixture(scope="module")
def running(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(bed, tmp_path_factory.mktemp("state"))
    yield running
    code, said = running.close()
    assert code == 0, said
    assert "Traceback" not in said


def test_it_shows_who_is_there_now_and_takes_one_slot(running: Running, bed: Bed) -> None:
    with bed.holder("idle", sessions=3) as holder:
        deadline = time.monotonic() + 30
        while True:
            (server,) = running.client.get("/state.json").json()["servers"]
            if any(holder.pid in one["processes"] and one["slots"] == 3 for one in server["holders"]):
                break
            assert time.monotonic() < deadline
            time.sleep(0.2)
        own = [one for one in server["holders"] if one["kind"] == "pgusher"]
        assert sum(one["slots"] for one in own) == 1
        assert "script/" in running.client.get("/").text


def test_news_come_by_the_stream(running: Running) -> None:
    with running.client.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert "default-src 'none'" in stream.headers["content-security-policy"]
        seen = []
        for line in stream.iter_lines():
            if line.startswith("data:"):
                seen.append(int(line.removeprefix("data:")))
            if len(seen) == 2:
                break
    assert seen[1] > seen[0]


def test_a_plan_is_made_with_the_one_slot_that_there_is(running: Running, bed: Bed) -> None:
    with bed.holder("idle", sessions=2) as holder:
        deadline = time.monotonic() + 30
        name = None
        while name is None:
            (server,) = running.client.get("/state.json").json()["servers"]
            name = next((one["name"] for one in server["holders"] if holder.pid in one["processes"]), None)
            assert time.monotonic() < deadline
            time.sleep(0.2)
        answer = running.client.get("/plan.json", params={"holder": name})
        assert answer.status_code == 200, answer.text
        plan = answer.json()
        assert plan["kind"] == "plan"
        assert plan["word"] == name
        assert plan["own"] == 1
        page = running.client.get("/plan", params={"holder": name}).text
        assert '<form method="post"' not in page


def test_who_sends_nothing_is_sent_away_and_keeps_nobody_from_the_page(running: Running) -> None:
    silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(50)]
    try:
        for one in silent[::2]:
            one.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert running.client.get("/healthz").status_code == 200
        silent[0].settimeout(60)
        assert silent[0].recv(1000) == b""
        silent[1].settimeout(60)
        assert silent[1].recv(1000) == b""
    finally:
        for one in silent:
            one.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 60000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /apply HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\r\n\r\n\r\nGET",
        b"GET /%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["a huge header", "TLS", "a proxy's", "two hosts", "two lengths", "nothing", "NUL"],
)
def test_what_is_no_request_of_ours_is_refused(running: Running, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert not answer or answer.split()[1].startswith(b"4"), answer[:200]
    assert running.client.get("/healthz").status_code == 200


def test_it_needs_a_certificate_to_be_open_to_the_network(bed: Bed, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"open to the network at 0\.0\.0\.0 without TLS"):
        Running(bed, tmp_path, "--listen", "0.0.0.0:0")


def test_a_port_that_is_taken_is_told(bed: Bed, running: Running, tmp_path: Path) -> None:
    with pytest.raises(
        AssertionError, match=f"could not listen at 127.0.0.1 port {running.port}: address already in use"
    ):
        Running(bed, tmp_path, "--listen", f"127.0.0.1:{running.port}")


def test_with_a_certificate_it_speaks_tls_by_its_name(bed: Bed, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    make += [
        "-keyout",
        str(key),
        "-out",
        str(certificate),
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(make, check=True, capture_output=True)
    running = Running(
        bed,
        tmp_path,
        "--listen",
        "0.0.0.0:0",
        "--name",
        "localhost",
        "--tls-cert",
        str(certificate),
        "--tls-key",
        str(key),
    )
    try:
        assert running.base.startswith("https://localhost:")
        with httpx.Client(verify=ssl.create_default_context(cafile=certificate)) as client:
            answer = client.get(running.url)
            assert "Secure" in answer.headers["set-cookie"]
            port = httpx.URL(running.base).port
            with pytest.raises(httpx.ConnectError):
                client.get(f"https://127.0.0.1:{port}/")
    finally:
        code, said = running.close()
        assert code == 0, said
