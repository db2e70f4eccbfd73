"""The first bytes of an answer tell whether a server is completely full, and never more than that."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.postgres.probe import Reply, Said, ask, complete, parse_reply, startup_packet

FULL = {"S": "FATAL", "V": "FATAL", "C": "53300", "M": "sorry, too many clients already"}
WHERE = {"F": "proc.c", "L": "357", "R": "InitProcess"}


def message(kind: str, body: bytes) -> bytes:
    return kind.encode() + (len(body) + 4).to_bytes(4, "big") + body


def error(fields: dict[str, str]) -> bytes:
    return message("E", b"".join(f"{k}{v}\0".encode() for k, v in fields.items()) + b"\0")


def test_a_server_without_a_slot_says_so_before_it_asks_who_is_there() -> None:
    reply = parse_reply(error({**FULL, **WHERE}))
    assert reply.full
    assert reply.refusal is not None
    assert reply.refusal.by == "postgres"


def test_in_any_language_and_encoding() -> None:
    said = error({**FULL, **WHERE, "S": "致命的エラー", "M": "残念ながら"})
    assert parse_reply(said).full
    raw = said.replace("残念ながら".encode(), "извините".encode("koi8-r").ljust(15, b"!"))
    assert parse_reply(raw).full


def test_a_server_that_asks_for_a_password_is_not_proven_full() -> None:
    asked = message("R", (10).to_bytes(4, "big") + b"SCRAM-SHA-256\0\0")
    assert parse_reply(asked) == Reply(Said.ASKED)
    # With no password at all a limit of the role refuses later: that is not the server being full.
    later = message("R", (0).to_bytes(4, "big")) + error({**FULL, **WHERE})
    assert not parse_reply(later).full


def test_another_error_is_a_refusal_but_not_for_lack_of_slots() -> None:
    reply = parse_reply(error({**WHERE, "C": "57P03", "M": "the database system is starting up"}))
    assert (reply.said, reply.full) == (Said.REFUSED, False)


@pytest.mark.parametrize(
    ("fields", "by"),
    [
        ({"C": "08P01", "M": "no more connections allowed (max_client_conn)"}, "PgBouncer"),
        ({"C": "53300", "M": "Sorry, too many clients already"}, "Pgpool-II"),
        ({"C": "53300", "M": "odyssey: c1f: too many connections"}, "Odyssey"),
        ({"C": "53300", "M": "sorry, too many clients already"}, "a pooler"),
        ({"C": "XX000", "M": "Max client connections reached"}, "Supavisor"),
    ],
)
def test_a_pooler_that_refuses_is_not_taken_for_the_server(fields: dict[str, str], by: str) -> None:
    refusal = parse_reply(error(fields)).refusal
    assert refusal is not None
    assert (refusal.by, refusal.ceiling) == (by, None)


def test_what_a_server_says_that_could_not_even_fork() -> None:
    reply = parse_reply(b"Ecould not fork new process for connection: Cannot allocate memory\n\0")
    assert reply.said is Said.REFUSED
    assert reply.refusal is not None
    assert reply.refusal.words == "could not fork new process for connection: Cannot allocate memory"


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n", b"\0" * 40, b"R\0\0\0\1", b"R\xff\xff\xff\xff"])
def test_what_is_no_answer_of_a_server(data: bytes) -> None:
    assert parse_reply(data) == Reply(Said.UNKNOWN)


def test_nothing() -> None:
    assert parse_reply(b"") == Reply(Said.NOTHING)


def test_notices_and_settings_may_come_first() -> None:
    first = message("N", b"SWARNING\0\0") + message("S", b"a\0b\0") + message("v", b"\0" * 8)
    assert parse_reply(first + error({**FULL, **WHERE})).full


@given(st.integers(0, 200))
def test_a_torn_answer_never_proves_anything(length: int) -> None:
    whole = error({**FULL, **WHERE})
    reply = parse_reply(whole[:length])
    assert reply.full == (length >= len(whole))
    assert complete(whole[:length]) == (length >= len(whole))


@settings(max_examples=2000)
@given(st.one_of(st.binary(), st.lists(st.sampled_from([b"E", b"R", b"N", b"\0", b"\4", b"C53300\0"])).map(b"".join)))
def test_no_bytes_raise(data: bytes) -> None:
    reply = parse_reply(data)
    assert not (reply.full and reply.refusal is None)
    complete(data)


@given(st.text(), st.text())
def test_a_startup_packet_says_its_length(user: str, database: str) -> None:
    packet = startup_packet(user, database)
    assert int.from_bytes(packet[:4], "big") == len(packet)
    assert packet.endswith(b"\0\0")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_silent_server_is_not_waited_for_beyond_the_deadline(listener: socket.socket) -> None:
    now = iter([0.0, 0.0, 0.0, 100.0, 100.0, 100.0])
    assert ask(listener.getsockname(), "bob", "bob", 0.2, lambda: next(now, 100.0)).said is Said.NOTHING


def test_an_answer_in_pieces_is_put_together_and_the_connection_closed(listener: socket.socket) -> None:
    ends: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            for byte in error({**FULL, **WHERE}):
                connection.sendall(bytes([byte]))
            ends.append(connection.recv(1))

    thread = threading.Thread(target=serve)
    thread.start()
    assert ask(listener.getsockname(), "bob", "bob", 30.0, lambda: 0.0).full
    thread.join(30)
    assert ends == [b""]


@pytest.mark.parametrize("address", ["/nonexistent/.s.PGSQL.1", "@nobody-listens-here", ("127.0.0.1", 1), ("x", 1)])
def test_nobody_there(address: str | tuple[str, int]) -> None:
    assert ask(address, "bob", "bob", 1.0, lambda: 0.0).said is Said.NOTHING
