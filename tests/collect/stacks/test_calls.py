"""System calls by their numbers, and whether they ever end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.collect.stacks import calls

TAIL = " 0x7ffca42112a0 0x7f4bc52a3f16"


@pytest.mark.parametrize(
    ("line", "machine", "name", "endless"),
    [
        ("202 0x5616 0x189 0x0 0x7ffc 0x0 0xffffffff", "x86_64", "futex", False),
        ("202 0x5616 0x189 0x0 0x0 0x0 0xffffffff", "x86_64", "futex", True),
        ("202 0x5616 0x189 0x0 0x0 0x7ffc 0x0", "x86_64", "futex", True),
        ("202 0x5616 0x81 0x1 0x0 0x0 0x0", "x86_64", "futex", None),
        ("7 0x7ffc 0x1 0xffffffff 0x0 0x0 0x0", "x86_64", "poll", True),
        ("7 0x7ffc 0x1 0x64 0x0 0x0 0x0", "x86_64", "poll", False),
        ("232 0x4 0x7ffc 0x1 0xffffffffffffffff 0x0 0x0", "x86_64", "epoll_wait", True),
        ("232 0x4 0x7ffc 0x1 0x3e8 0x0 0x0", "x86_64", "epoll_wait", False),
        ("23 0x5 0x7ffc 0x0 0x0 0x0 0x0", "x86_64", "select", True),
        ("23 0x5 0x7ffc 0x0 0x0 0x7ffd 0x0", "x86_64", "select", False),
        ("271 0x7ffc 0x1 0x0 0x0 0x0 0x0", "x86_64", "ppoll", True),
        ("45 0x5 0x0 0x0 0x0 0x0 0x0", "x86_64", "recvfrom", True),
        ("42 0x5 0x0 0x0 0x0 0x0 0x0", "x86_64", "connect", False),
        ("230 0x0 0x0 0x0 0x0 0x0 0x0", "x86_64", "clock_nanosleep", False),
        ("61 0xffffffff 0x0 0x0 0x0 0x0 0x0", "x86_64", "wait4", True),
        ("73 0x3 0x2 0x0 0x0 0x0 0x0", "x86_64", "flock", True),
        ("98 0x5616 0x189 0x0 0x0 0x0 0xffffffff", "aarch64", "futex", True),
        ("73 0x7ffc 0x1 0x0 0x0 0x0 0x0", "aarch64", "ppoll", True),
        ("22 0x4 0x7ffc 0x1 0xffffffff 0x0 0x0", "aarch64", "epoll_pwait", True),
        ("32 0x3 0x2 0x0 0x0 0x0 0x0", "aarch64", "flock", True),
        ("202 0x3 0x2 0x0 0x0 0x0 0x0", "riscv64", "syscall-202", None),
    ],
)
def test_a_call_is_named_and_its_limit_known(line: str, machine: str, name: str, endless: bool | None) -> None:
    call = calls.parse((line + TAIL).encode(), machine)
    assert call is not None
    assert (call.name, call.endless) == (name, endless)
    assert call.stack == 0x7FFCA42112A0


def test_the_limit_of_a_futex_is_a_moment_by_one_of_two_clocks() -> None:
    wall = calls.parse(f"202 0x56 0x189 0x0 0x7ffc 0x0 0xffffffff{TAIL}".encode(), "x86_64")
    steady = calls.parse(f"202 0x56 0x89 0x0 0x7ffc 0x0 0xffffffff{TAIL}".encode(), "x86_64")
    none = calls.parse(f"202 0x56 0x89 0x0 0x0 0x0 0xffffffff{TAIL}".encode(), "x86_64")
    relative = calls.parse(f"202 0x56 0x80 0x0 0x7ffc 0x0 0x0{TAIL}".encode(), "x86_64")
    assert wall is not None
    assert steady is not None
    assert none is not None
    assert relative is not None
    assert calls.limit(wall) == (0x7FFC, True)
    assert calls.limit(steady) == (0x7FFC, False)
    assert calls.limit(none) is None
    assert calls.limit(relative) is None


def test_a_thread_that_runs_is_in_no_call() -> None:
    assert calls.parse(b"running\n", "x86_64") is None
    assert calls.stack_pointer(b"running\n") is None
    assert calls.parse(b"-1 0x7ffc 0x7ffd\n", "x86_64") is None
    assert calls.stack_pointer(b"-1 0x7ffc 0x7ffd\n") == 0x7FFC


@given(st.one_of(st.binary(max_size=200), st.lists(st.integers(), max_size=12).map(lambda n: repr(n).encode())))
def test_no_line_raises(raw: bytes) -> None:
    calls.parse(raw, "x86_64")
    calls.stack_pointer(raw)


@given(st.integers(0, 500), st.lists(st.integers(0, (1 << 64) - 1), min_size=8, max_size=8))
def test_no_arguments_raise(number: int, words: list[int]) -> None:
    line = " ".join([str(number), *map(hex, words)]).encode()
    for machine in ("x86_64", "aarch64", "mips"):
        call = calls.parse(line, machine)
        assert call is not None
        calls.limit(call)
