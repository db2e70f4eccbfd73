from __future__ import annotations

import email
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from pgusher.app.alerting import Teller, Ways, mail_address, web_address
from pgusher.app.alerts import Alert, Alerts, body, subject
from pgusher.app.live import Moment
from pgusher.app.look import Look
from pgusher.errors import UnreachableError
from pgusher.model.findings import Diagnosis
from tests.surfaces import findings, worlds

SECOND = 1_000_000
FULL = Look((worlds.incident(),), 1.0)
QUIET = Look((worlds.quiet(),), 1.0)
FOUND = Diagnosis((findings.HANG, findings.NOTE))


def moment(second: int, found: Diagnosis | None, error: str = "") -> Moment:
    if error:
        return Moment(second, second * SECOND, FULL, (FOUND,), UnreachableError(error))
    return Moment(second, second * SECOND, FULL, (found or Diagnosis(),))


def told(alerts: Alerts, *moments: Moment) -> list[tuple[int, str, bool]]:
    return [(one.at // SECOND, one.rule, one.over) for each in moments for one in alerts.take(each)]


def test_a_cause_is_told_once_and_again_when_it_is_over() -> None:
    alerts = Alerts()
    there = [moment(second, FOUND) for second in range(0, 100, 2)]
    away = [moment(second, None) for second in range(100, 160, 2)]
    assert told(alerts, *there, *away) == [(10, findings.HANG.rule, False), (128, findings.HANG.rule, True)]


def test_what_comes_and_goes_is_not_told() -> None:
    alerts = Alerts()
    assert told(alerts, *(moment(second, FOUND if second % 4 else None) for second in range(0, 60, 2))) == []


def test_a_cause_that_is_away_for_a_moment_is_not_told_twice() -> None:
    alerts = Alerts()
    seen = [moment(second, None if 40 <= second < 60 else FOUND) for second in range(0, 100, 2)]
    assert told(alerts, *seen) == [(10, findings.HANG.rule, False)]


def test_who_sees_nothing_says_that_and_not_that_anything_is_over() -> None:
    alerts = Alerts()
    there = [moment(second, FOUND) for second in range(0, 20, 2)]
    blind = [moment(second, None, "gone") for second in range(20, 120, 2)]
    back = [moment(second, FOUND) for second in range(120, 180, 2)]
    assert told(alerts, *there, *blind, *back) == [
        (10, findings.HANG.rule, False),
        (50, "not-seen", False),
        (148, "not-seen", True),
    ]


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Any]]]:
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/secret", got
        server.shutdown()
        thread.join()


HOSTILE = "hangs\r\nBcc: evil@example.org\x1b[2J \udc80 <b>"
ALERT = Alert("5432 stuck-job:cron/x", "5432", "stuck-job", "critical", HOSTILE, 0, SECOND)


def test_all_ways_tell_it_and_a_strangers_text_does_nothing(hook: tuple[str, list[Any]], tmp_path: Path) -> None:
    url, got = hook
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/args; cat > {tmp_path}/mail\n')
    sendmail.chmod(0o755)
    line = f'printf %s "$PGUSHER_ALERT $PGUSHER_ALERT_RULE" > {tmp_path}/env; cat > {tmp_path}/input'
    said: list[str] = []
    teller = Teller(Ways(line, url, "dba@example.org", str(sendmail)), said.append)
    teller.tell(ALERT)
    teller.close(30)
    assert said == []
    assert (tmp_path / "env").read_text() == "firing stuck-job"
    assert "sudo pgusher --port 5432 why" in (tmp_path / "input").read_text()
    assert (got[0]["state"], got[0]["rule"], got[0]["message"]) == ("firing", "stuck-job", HOSTILE)
    assert (tmp_path / "args").read_text() == "-i -- dba@example.org\n"
    mail = email.message_from_bytes((tmp_path / "mail").read_bytes())
    assert mail["Bcc"] is None
    assert mail["To"] == "dba@example.org"
    assert "\x1b" not in mail.as_string()


def test_what_goes_wrong_is_narrated_without_the_secret(tmp_path: Path) -> None:
    said: list[str] = []
    teller = Teller(Ways("exit 3", "http://127.0.0.1:1/secret", "dba@example.org", str(tmp_path / "none")), said.append)
    teller.tell(ALERT)
    teller.close(30)
    assert len(said) == 3
    assert "the command ended with 3" in said[0]
    assert "could not reach the webhook" in said[1]
    assert all("secret" not in line for line in said)


def test_what_is_over_says_so() -> None:
    over = Alert("k", "5432", "stuck-job", "critical", "a job hangs", 0, SECOND, over=True)
    assert subject(over) == "pgusher: over on 5432: a job hangs"
    assert "What to type" not in body(over)


@pytest.mark.parametrize("text", ["file:///etc/passwd", "ftp://x", "http://a b", ""])
def test_what_is_no_web_address(text: str) -> None:
    with pytest.raises(ValueError, match="begins with"):
        web_address(text)


@pytest.mark.parametrize("text", ["-oQ/tmp@x", "dba", "@x", "a b@c", "a@b\n"])
def test_what_is_no_mail_address(text: str) -> None:
    with pytest.raises(ValueError, match="address of mail"):
        mail_address(text)


def test_a_webhook_that_speaks_no_http_ends_no_telling() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                with suppress(OSError), server.accept()[0] as one:
                    one.recv(1 << 16)
                    one.sendall(b"SSH-2.0-x\r\n")

        threading.Thread(target=answer, daemon=True).start()
        teller = Teller(Ways(None, f"http://127.0.0.1:{server.getsockname()[1]}/x"), said.append)
        teller.tell(ALERT)
        teller.tell(ALERT)
        teller.close()
    assert ["could not reach the webhook" in line for line in said] == [True, True]
