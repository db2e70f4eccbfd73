"""Small facts about the frozen values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.model.address import UNIX, UNKNOWN, ClientAddress, Transport
from pgusher.model.evidence import Certainty
from pgusher.model.server import Ceilings, Server
from pgusher.model.session import Session
from pgusher.model.text import clean, decode


def test_a_chain_is_as_sure_as_its_weakest_link() -> None:
    assert Certainty.weakest(Certainty.PROVEN, Certainty.GUESSED, Certainty.LIKELY) is Certainty.GUESSED
    assert Certainty.weakest() is Certainty.PROVEN


def test_ordinary_slots_leave_out_both_reserves() -> None:
    assert Ceilings(100).ordinary == 97
    assert Ceilings(100, 3, 5).ordinary == 92
    assert Ceilings(2, 3, 0).ordinary == 0


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (ClientAddress(Transport.TCP, "10.0.0.7", 5), "10.0.0.7:5"),
        (ClientAddress(Transport.TCP, "::1", 5), "[::1]:5"),
        (ClientAddress(Transport.TCP, "db", None), "db"),
        (UNIX, "unix socket"),
        (UNKNOWN, "unknown address"),
    ],
)
def test_an_address_is_written_one_way(address: ClientAddress, shown: str) -> None:
    assert str(address) == shown


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        (Server(5432), "port 5432"),
        (Server(5432, "/run/postgresql"), "port 5432"),
        (Server(5432, "db"), "db:5432"),
        (Server(5432, "::1"), "[::1]:5432"),
    ],
)
def test_a_server_has_a_label(server: Server, shown: str) -> None:
    assert server.label == shown


@pytest.mark.parametrize(
    ("kind", "takes"),
    [("client backend", True), ("walsender", False), ("parallel worker", False), ("authenticating", True)],
)
def test_only_clients_take_slots(kind: str, takes: bool) -> None:
    assert Session(1, backend_type=kind).takes_slot is takes


def test_control_characters_become_visible() -> None:
    assert clean("a\x1b[31mb\nc\td\u202e\x9b") == "a\\x1b[31mb c d\\u202e\\x9b"


@given(st.binary(max_size=200))
def test_any_bytes_become_text_that_can_be_written(raw: bytes) -> None:
    text = clean(decode(raw))
    text.encode()
    assert "\n" not in text
    assert "\x1b" not in text
