"""The host: its addresses as the kernel knows them, its boot as exactly as it can be known."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect import addresses
from pgusher.collect.boot import boot_id, boot_time
from pgusher.collect.host import look_host
from pgusher.collect.users import Users
from tests.collect.fake_proc import BOOT_ID, host


def test_this_host() -> None:
    seen = look_host()
    assert seen.name == socket.gethostname()
    assert seen.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert (seen.uid, seen.pid, seen.user) == (os.geteuid(), os.getpid(), Users().name(os.geteuid()))
    assert seen.netns == os.stat("/proc/self/ns/net").st_ino
    assert seen.kernel == os.uname().release
    assert "127.0.0.1" in seen.addresses
    assert all(ipaddress.ip_address(address) for address in seen.addresses)


def test_netlink_and_proc_net_agree() -> None:
    from_files = addresses.parse_fib_trie(Path("/proc/net/fib_trie").read_bytes())
    v6 = Path("/proc/net/if_inet6")
    from_files |= addresses.parse_if_inet6(v6.read_bytes()) if v6.exists() else set()
    assert set(addresses.own_addresses()) == from_files


def test_every_address_can_be_bound() -> None:
    for address in addresses.own_addresses():
        if not address.startswith("fe80"):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                sock.bind((address, 0))


def test_without_netlink_proc_net_is_read(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/fib_trie").write_text(
        "Main:\n  +-- 10.0.0.0/24 2 0 2\n     |-- 10.0.0.0\n        /24 link UNICAST\n"
        "     |-- 10.0.0.7\n        /32 host LOCAL\n"
    )
    (tmp_path / "net/if_inet6").write_text("fd000000000000000000000000000002 02 40 00 80 eth0\nshort\n")
    assert addresses.own_addresses(str(tmp_path)) == ("10.0.0.7", "fd00::2")


def test_without_anything_the_host_is_still_one(tmp_path: Path) -> None:
    seen = look_host(str(tmp_path))
    assert (seen.boot_id, seen.boot_time, seen.addresses, seen.netns) == ("", 0, (), None)
    assert seen.name


def test_another_hosts_boot_is_by_its_own_file(tmp_path: Path) -> None:
    host(tmp_path, btime=1_700_000_000)
    assert boot_id(str(tmp_path)) == BOOT_ID
    assert boot_time(str(tmp_path)) == 1_700_000_000_000_000


def test_boot_is_the_difference_of_the_two_clocks_at_the_quietest_of_three_readings() -> None:
    since = iter([0, 9_000_000_000, 100_000_000, 100_000_002, 5, 8_000_000_000])
    real = iter([77, 1_700_000_000_100_000_001, 78])
    assert boot_time(real=lambda: next(real), since_boot=lambda: next(since)) == 1_700_000_000_000_000


def _message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


def _address(family: int, **attributes: bytes) -> bytes:
    body = struct.pack("=BBBBI", family, 24, 0, 0, 1)
    for name, value in attributes.items():
        padded = value + b"\0" * (-len(value) % 4)
        body += struct.pack("=HH", 4 + len(value), {"any": 1, "local": 2, "label": 3}[name]) + padded
    return _message(20, body)


def test_on_a_point_to_point_link_our_end_is_taken() -> None:
    raw = _address(2, any=bytes([10, 0, 0, 9]), local=bytes([10, 0, 0, 1]), label=b"tun0\0")
    assert addresses.parse_messages(raw) == ({"10.0.0.1"}, False)
    assert addresses.parse_messages(raw + _message(3, b"\0\0\0\0")) == ({"10.0.0.1"}, True)


@settings(max_examples=3000)
@given(st.binary(max_size=200), st.integers(0, 40), st.integers(0, 255))
def test_no_message_raises(junk: bytes, kind: int, family: int) -> None:
    for raw in (junk, _message(kind, junk), _message(20, bytes([family]) + junk)):
        found, _ = addresses.parse_messages(raw)
        assert all(ipaddress.ip_address(address) for address in found)
    assert addresses.parse_fib_trie(junk) is not None
    assert addresses.parse_if_inet6(junk) is not None


@pytest.mark.parametrize(
    ("line", "user"),
    [
        (b"web:x:1000:1000:Web,,,:/home/web:/bin/sh", ("web", 1000, "/home/web")),
        (b"web:x:1000:1000::/home/web:", ("web", 1000, "/home/web")),
        (b"w\xe9b:x:7:7::/:", ("w\\xe9b", 7, "/")),
        (b"web:x:-1:0::/:", None),
        (b"web:x:99999999999:0::/:", None),
        (b"web", None),
        (b":x:1:1::/:", None),
        (b"+::::::", None),
        (b"# comment", None),
        (b"", None),
    ],
)
def test_a_line_of_passwd(tmp_path: Path, line: bytes, user: tuple[str, int, str] | None) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_bytes(b"root:x:0:0:root:/root:/bin/sh\n" + line + b"\n")
    users = Users(str(tmp_path))
    assert (users.name(0), users.home(0), users.knows("root"), users.knows("nobody-else")) == (
        "root",
        "/root",
        True,
        False,
    )
    if user:
        assert (users.name(user[1]), users.home(user[1]), users.knows(user[0])) == (user[0], user[2], True)


def test_the_first_name_of_a_uid_counts_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    passwd = tmp_path / "etc/passwd"
    passwd.write_text("one:x:5:5::/1:\ntwo:x:5:5::/2:\n")
    users = Users(str(tmp_path))
    assert (users.name(5), users.home(5), users.knows("two"), users.name(6)) == ("one", "/1", True, None)
    passwd.write_text("three:x:5:5::/333:\n")
    assert (users.name(5), users.knows("one")) == ("three", False)


def test_without_a_passwd_file_nothing_is_said(tmp_path: Path) -> None:
    users = Users(str(tmp_path))
    assert (users.name(0), users.home(0), users.knows("root")) == (None, None, None)


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_no_passwd_raises(raw: bytes) -> None:
    from pgusher.collect.users import parse_passwd

    for user in parse_passwd(raw):
        user.name.encode()
