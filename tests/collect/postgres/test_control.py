"""max_connections is read from a control file, and from nothing that only looks like one."""

from __future__ import annotations

import os
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.postgres.control import crc32c, max_connections
from pgusher.demo.server import EmbeddedServer
from tests.bed.requirements import each_version


def test_the_checksum_is_castagnoli_s() -> None:
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, B.4


def made(version: int = 1800, state: int = 6, value: int = 77) -> bytes:
    body = bytearray(296)
    struct.pack_into("=QII", body, 0, 7, version, 202506291)
    struct.pack_into("=i", body, 16, state)
    struct.pack_into("=i", body, 180, value)
    at = 292 if version == 1800 else 288
    struct.pack_into("=I", body, at, crc32c(bytes(body[:at])))
    return bytes(body)


def test_what_is_not_the_running_server_s_value_is_not_told() -> None:
    assert max_connections(made()) == 77
    assert max_connections(made(1300)) == 77
    assert max_connections(made(1201)) is None  # before 13
    assert max_connections(made(9999)) is None
    assert max_connections(made(state=5)) is None  # a standby has the value of its primary
    assert max_connections(made(value=0)) is None
    assert max_connections(made(value=2**30)) is None


@given(st.integers(0, 291), st.integers(1, 255))
def test_one_wrong_byte_is_noticed(at: int, change: int) -> None:
    body = bytearray(made())
    body[at] ^= change
    assert max_connections(bytes(body)) is None


@settings(max_examples=1000)
@given(st.one_of(st.binary(), st.binary(min_size=296, max_size=400)))
def test_no_bytes_raise(data: bytes) -> None:
    assert max_connections(data) is None


@each_version
def test_a_real_one(server: EmbeddedServer) -> None:
    with open(os.path.join(server.data_dir, "global", "pg_control"), "rb") as file:
        assert max_connections(file.read()) == 40
