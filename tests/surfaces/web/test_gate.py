from __future__ import annotations

import random
import string

import pytest

from pgusher.surfaces.web.token import form_key
from tests.surfaces import worlds
from tests.surfaces.web.site import HOST, TOKEN, Source, ask, look

SECRET = "version_history"
"""A name that only those who may come in are to read."""
PAGES = ("/", "/state.json", "/holder?name=service/grafana", "/session?pid=20100", "/history", "/plan",
         "/metrics", "/events", "/healthz", "/rule?name=stuck-job", "/static/pgusher.js", "/nothing",
         "/holder.json?name=x")  # fmt: skip
NAMES = ("server", "name", "pid", "start", "at", "only", "sort", "holder", "token", *string.ascii_letters)


@pytest.fixture
def source() -> Source:
    return Source(look(worlds.incident()), allow_actions=True)


@pytest.mark.parametrize("path", PAGES)
def test_without_the_token_nothing_is_shown(source: Source, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "pgusher=wrong"}, {"authorization": TOKEN}):
        answer = ask(source, path, headers=headers, token=False)
        assert answer.status_code == 401
        assert SECRET not in answer.text


def test_the_address_that_is_printed_signs_in_and_loses_the_token(source: Source) -> None:
    answer = ask(source, f"/holder?name=a%26b&token={TOKEN}", token=False)
    assert answer.status_code == 200
    assert TOKEN not in answer.text
    assert "url=/holder?name=a%26b" in answer.text
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    signed = ask(source, "/", headers={"cookie": cookie.partition(";")[0]}, token=False)
    assert SECRET in signed.text


@pytest.mark.parametrize("path", ["//evil.example/?token=", "/\\evil.example?token=", "///evil.example?token="])
def test_signing_in_leads_to_no_other_host(source: Source, path: str) -> None:
    answer = ask(source, path + TOKEN, token=False)
    target = answer.text.partition("url=")[2].partition('"')[0]
    assert target.startswith("/")
    assert not target.startswith(("//", "/\\"))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8432", "127.0.0.1", "127.0.0.1:80", "", "127.0.0.1.evil.example:8432"]
)
def test_another_name_of_the_host_is_refused(source: Source, host: str) -> None:
    answer = ask(source, "/", headers={"host": host})
    assert answer.status_code == 421
    assert SECRET not in answer.text


def test_a_form_of_our_own_is_taken_and_all_others_are_refused(source: Source) -> None:
    body = f"key={form_key(TOKEN)}&plan=k7f3".encode()
    form = {"content-type": "application/x-www-form-urlencoded"}
    ours = {"origin": f"http://{HOST}", **form}
    refused = [
        ({**form}, body),
        ({**form, "origin": "null"}, body),
        ({**form, "origin": "http://evil.example"}, body),
        ({**form, "origin": f"https://{HOST}"}, body),
        (ours, b"plan=k7f3"),
        (ours, b"key=&plan=k7f3"),
        (ours, f"key={TOKEN}&plan=k7f3".encode()),
        ({**ours, "x-pgusher": "1"}, body),
    ]
    for headers, sent in refused:
        assert ask(source, "/apply", "POST", headers=headers, body=sent).status_code == 403
    assert source.applied == []
    answer = ask(source, "/apply", "POST", headers=ours, body=body)
    assert answer.status_code == 200, answer.text
    assert source.applied == ["k7f3"]
    assert "a slot was taken" in answer.text


def test_without_the_flag_no_form_is_shown_and_none_is_taken() -> None:
    source = Source(look(worlds.incident()))
    assert '<form method="post"' not in ask(source, "/plan").text
    headers = {"origin": f"http://{HOST}", "content-type": "application/x-www-form-urlencoded"}
    answer = ask(source, "/apply", "POST", headers=headers, body=f"key={form_key(TOKEN)}&plan=k7f3".encode())
    assert answer.status_code == 502
    assert source.applied == []


@pytest.mark.parametrize("path", PAGES)
def test_each_answer_tells_the_browser_what_it_may_not_do(source: Source, path: str) -> None:
    if path == "/events":
        return  # a stream: its head is looked at in test_server
    headers = ask(source, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_much_is_refused(source: Source) -> None:
    assert ask(source, "/?only=" + "x" * 5000).status_code == 414
    assert ask(source, "/apply", "POST", headers={"content-length": "99999999999999999999"}).status_code == 413
    assert ask(source, "/apply", "POST", headers={"content-length": "-1"}).status_code == 413
    assert ask(source, "/apply", "POST", headers={"origin": f"http://{HOST}"}, body=b"x" * 20000).status_code == 413
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "X"):
        assert ask(source, "/", method).status_code == 405


def test_a_thousand_hostile_requests_do_nothing_and_learn_nothing(source: Source) -> None:
    chance = random.Random(8)
    hostile = ("../../etc/passwd", "%2e%2e%2f", "\\..\\", "<script>alert(1)</script>", "'\"><img src=x onerror=a()>",
               "%00", "\u202e", "%ff%fe", "{{7*7}}", "${7*7}", ";", "a" * 900, "%7f%1b")  # fmt: skip
    names = [path.partition("?")[0] for path in PAGES] + [
        "/static/../gate.py",
        "/static/%2e%2e/gate.py",
        "/apply",
        "//",
    ]
    seen = set()
    for number in range(1000):
        path = chance.choice(names)
        if path == "/events":
            path = "/"
        words = "&".join(f"{chance.choice(NAMES)}={chance.choice(hostile)}" for _ in range(chance.randrange(3)))
        right = number % 2 == 0
        host = HOST if chance.random() < 0.9 else "evil.example"
        headers = {"origin": "http://evil.example"} if chance.random() < 0.5 else {}
        method = chance.choice(("GET", "GET", "GET", "POST"))
        answer = ask(source, f"{path}?{words}", method, headers=headers, token=right, host=host)
        seen.add(answer.status_code)
        assert answer.status_code < 500, (path, words, answer.text)
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text
        assert TOKEN not in answer.text
        assert "def __call__" not in answer.text
        if not right or host != HOST:
            assert SECRET not in answer.text
    assert source.applied == []
    assert {200, 401, 403, 404, 421} <= seen
