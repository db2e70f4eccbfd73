"""Requests over real sockets: what goes out, what does not, and what becomes of bad answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pgusher.collect.grafana.api import read_api
from pgusher.collect.grafana.client import Access, Client, GrafanaError, check_url, read_tokens
from pgusher.demo.grafana_stand_in import StandIn, serving
from pgusher.errors import UsageError

TOKEN = "glsa_" + "k" * 32 + "_0f3a9c1e"


@contextmanager
def answering(*raw: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers, one a connection, and keeps what it was sent."""
    sent: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in raw:
                line, _ = server.accept()
                with line:
                    sent.append(line.recv(65536))
                    line.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", sent
        thread.join(10)


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_it_reads_the_stand_in_over_http() -> None:
    stand_in = StandIn()
    stand_in.add("Shop", url="db1:5432", jsonData={"maxOpenConns": 9})
    with serving(stand_in) as url:
        found = read_api(Client(Access(url, (stand_in.token(),))))
    assert ([one.limits.max_open.value for one in found.sources], found.gaps) == ([9], ())


def test_a_token_follows_no_redirect() -> None:
    with answering(http("302 Found", b"", "Location: http://127.0.0.1:9/elsewhere")) as (url, sent):
        with pytest.raises(GrafanaError, match="302: it redirects, and a token is not sent elsewhere") as caught:
            Client(Access(url, (TOKEN,))).get("/api/datasources", TOKEN)
        assert caught.value.opens == "give the URL that it redirects to"
    assert len(sent) == 1


def test_the_token_is_in_no_error() -> None:
    body = b'{"message": "bad token ' + TOKEN.encode() + b' or password=s3cr3tW0rd\\u001b[2J"}'
    with answering(http("500 Oops", body)) as (url, sent):
        client = Client(Access(url, (TOKEN,)))
        with pytest.raises(GrafanaError) as caught:
            client.get("/api/org", TOKEN)
    assert b"Authorization: Bearer " + TOKEN.encode() in sent[0]
    assert TOKEN not in str(caught.value)
    assert "s3cr3tW0rd" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert TOKEN not in repr(Access(url, (TOKEN,)))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (http("200 OK", b"<html>"), "its answer to /api/org is no JSON: is it Grafana?"),
        (http("200 OK", b"[" * 100_000), "its answer to /api/org is no JSON: is it Grafana?"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it could not be asked: it does not speak http: badstatusline"),
        (b"", "it could not be asked: remote end closed connection without response"),
        (http("503 Busy", b"<html>"), "GET /api/org: 503"),
        (http("403 Forbidden", b'{"message": 7}'), "GET /api/org: 403"),
        (
            http("500 Oops", b"")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n10\r\nabc",
            "it could not be asked: it does not speak http: incompleteread",
        ),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nabc", "GET /api/org: 500"),
    ],
)
def test_bad_answers(raw: bytes, expected: str) -> None:
    with answering(raw) as (url, _), pytest.raises(GrafanaError) as caught:
        Client(Access(url)).get("/api/org")
    assert str(caught.value).lower() == expected.lower()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(GrafanaError, match="it could not be asked: connection refused"):
        Client(Access(f"http://127.0.0.1:{port}")).get("/api/org")


def test_somebody_who_does_not_answer_is_not_waited_for() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(GrafanaError, match="timed out"),
    ):
        Client(Access(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.05)).get("/api/org")


@pytest.mark.parametrize("status", [b"200 OK", b"500 Oops"])
def test_an_answer_that_drips_is_not_waited_for(status: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):
                line.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 900\r\n\r\n")
                while not ended.wait(0.02):
                    line.sendall(b" ")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(GrafanaError, match="timed out"):
            Client(Access(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.3)).get("/api/org")
        ended.set()
        thread.join(10)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://g:3000/", "http://g:3000"),
        ("https://g/grafana/", "https://g/grafana"),
        (" http://[::1]:3000 ", "http://[::1]:3000"),
        ("http://g/a?b=c#d", "http://g/a"),
    ],
)
def test_urls(url: str, expected: str) -> None:
    assert check_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        *("", "g:3000", "file:///etc/passwd", "ftp://g", "http://", "http://g:99999", "http://u:s3cr3tW0rd@g"),
        *("http://g/a b", "http://g\r\nX: y", "http://[::1", "javascript:alert(1)"),
    ],
)
def test_what_is_no_url_is_refused_without_its_words(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_url(url)
    assert "s3cr3tW0rd" not in str(caught.value)


def test_tokens_from_a_file_or_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"# first\n{TOKEN}\n\nglsa_two\n{TOKEN}\n")
    assert read_tokens(str(path), {"PGUSHER_GRAFANA_TOKEN": "glsa_env"}) == (TOKEN, "glsa_two")
    assert read_tokens(None, {"PGUSHER_GRAFANA_TOKEN": "glsa_a", "GRAFANA_TOKEN": "glsa_b"}) == ("glsa_a",)
    assert read_tokens(None, {"GRAFANA_TOKEN": " glsa_b\n"}) == ("glsa_b",)
    assert read_tokens(None, {}) == ()


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"two words", b"a\x00b", b"\x1b[2J", "ключ".encode(), b"t\n" + b"x\ny" * 60]
)
def test_a_file_that_holds_no_token_is_refused_without_its_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "token"
    path.write_bytes(content + b"".join(b"\nk%d" % number for number in range(101)))
    with pytest.raises(UsageError) as caught:
        read_tokens(str(path), {})
    assert "two words" not in str(caught.value)


def test_an_empty_token_file_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("# nothing yet\n")
    with pytest.raises(UsageError, match="holds no token"):
        read_tokens(str(tmp_path / "token"), {})


def test_a_token_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="could not be read: no such file or directory"):
        read_tokens("/nonexistent/token", {})
