"""One thread is another user for a moment; the others never are."""

from __future__ import annotations

import os
import threading

import pytest

from pgusher.collect.postgres.identity import effective_uid
from tests.bed.requirements import needs_root

OTHER = 65534


@needs_root
def test_only_this_thread_changes_and_it_changes_back() -> None:
    seen: list[int] = []
    go, done = threading.Event(), threading.Event()

    def look() -> None:
        go.wait(30)
        # Not os.geteuid alone: what counts is with what right the kernel lets this thread act.
        seen.extend((os.geteuid(), os.stat("/proc/thread-self").st_uid))
        done.set()

    thread = threading.Thread(target=look)
    thread.start()
    with effective_uid(OTHER):
        assert (os.geteuid(), os.getuid()) == (OTHER, 0)
        go.set()
        assert done.wait(30)
    thread.join(30)
    assert seen == [0, 0]
    assert os.geteuid() == 0


@needs_root
def test_it_changes_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), effective_uid(OTHER):
        _ = 1 / 0
    assert os.geteuid() == 0


def test_who_may_not_is_told() -> None:
    if os.geteuid() == 0:
        with effective_uid(OTHER), pytest.raises(PermissionError), effective_uid(1234):
            pytest.fail("it was let in")
        assert os.geteuid() == 0
    else:
        with pytest.raises(PermissionError), effective_uid(0):
            pytest.fail("it was let in")


def test_to_be_oneself_changes_nothing() -> None:
    before = os.geteuid()
    with effective_uid(before):
        assert os.geteuid() == before
