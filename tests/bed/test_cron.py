"""A real cron runs the jobs of the test, and no others."""

from __future__ import annotations

import os

import pytest

from tests.bed import Bed
from tests.bed.checks import agrees_with_proc, agrees_with_server
from tests.bed.cron import holder_command, why_no_cron

pytestmark = pytest.mark.skipif(bool(why_no_cron()), reason=why_no_cron() or "there is one")


def parents(pid: int) -> list[list[str]]:
    """The command lines of a process and of its ancestors."""
    found = []
    while pid > 1:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            found.append(file.read().rstrip(b"\0").decode().split("\0"))
        with open(f"/proc/{pid}/stat", "rb") as file:
            pid = int(file.read().rpartition(b")")[2].split()[1])
    return found


def test_a_job_is_below_the_daemon_and_its_shell(bed: Bed) -> None:
    command = holder_command(bed.dsn(), "--sessions", "3")
    with bed.cron([f"@reboot root {command}"], sessions=3) as cron:
        agrees_with_server(bed, cron.truth)
        agrees_with_proc(cron.truth)
        (process,) = cron.truth.processes
        job, shell, child, daemon, *_ = parents(process.pid)
        assert shell == ["/bin/sh", "-c", command]
        assert child == ["/usr/sbin/CRON", "-f"]
        assert daemon == ["/usr/sbin/cron", "-f"]
        assert job[1].endswith("sessions.py")
        with open(f"{cron.root}/etc/crontab", encoding="utf-8") as file:
            assert command in file.read()
        assert os.listdir(f"{cron.root}/etc/cron.d") == []
    with open("/etc/crontab", encoding="utf-8") as file:
        assert command not in file.read()
