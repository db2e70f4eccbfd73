"""A real cron runs the jobs of the test, and no others."""

from __future__ import annotations

import os
import sys

import pytest

from tests.bed import Bed, Holder
from tests.bed.checks import agrees_with_proc, agrees_with_server, gone
from tests.bed.cron import command, holder_command, needs_cron, why_no_hurry
from tests.bed.holder import hanging

pytestmark = needs_cron


def check(bed: Bed, holder: Holder) -> None:
    agrees_with_server(bed, holder.truth)
    agrees_with_proc(holder.truth)


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


def ancestors(pid: int) -> list[int]:
    """The pids of its parent, its parent's parent, and so on."""
    found = []
    while pid > 1:
        with open(f"/proc/{pid}/stat", "rb") as file:
            pid = int(file.read().rpartition(b")")[2].split()[1])
        found.append(pid)
    return found


def test_bash_leaves_no_shell_behind(bed: Bed) -> None:
    job = holder_command(bed.dsn(), "--sessions", "2")
    with bed.cron(["SHELL=/bin/bash", f"@reboot root {job}"], sessions=2) as cron:
        check(bed, cron)
        (process,) = cron.truth.processes
        assert parents(process.pid)[1] == ["/usr/sbin/CRON", "-f"]


@pytest.mark.parametrize("form", ["({} &)", "setsid {} &"])
def test_child_in_the_background_leaves_the_daemon(bed: Bed, form: str) -> None:
    job = form.format(holder_command(bed.dsn(), "--sessions", "2"))
    with bed.cron([f"@reboot root {job}"], sessions=2) as cron:
        check(bed, cron)
        (process,) = cron.truth.processes
        assert cron.pid not in ancestors(process.pid)


def test_setsid_in_the_foreground_stays_below_it(bed: Bed) -> None:
    with bed.cron([f"@reboot root setsid {holder_command(bed.dsn())}"], sessions=1) as cron:
        check(bed, cron)
        (process,) = cron.truth.processes
        assert cron.pid in ancestors(process.pid)
        assert os.getsid(process.pid) == process.pid


def test_every_place_of_a_crontab(bed: Bed) -> None:
    def job(name: str) -> str:
        return holder_command(bed.dsn(application_name=name))

    with bed.cron(
        [f"@reboot root {job('system')}"],
        cron_d={"pgusher": [f"@reboot root {job('directory')}"], "ignored.bak": [f"@reboot root {job('ignored')}"]},
        users={"root": [f"@reboot {job('personal')}"]},
        processes=3,
        sessions=3,
    ) as cron:
        check(bed, cron)
        assert {session.application_name for session in cron.truth.sessions} == {"system", "directory", "personal"}
        assert sorted(os.listdir(f"{cron.root}/etc/cron.d")) == ["ignored.bak", "pgusher"]
        assert os.listdir(f"{cron.root}/var/spool/cron/crontabs") == ["root"]


def test_percent_ends_the_command(bed: Bed) -> None:
    job = holder_command(bed.dsn(application_name="100%"))
    with bed.cron([f"@reboot root {job} %and this is its input"], sessions=1) as cron:
        check(bed, cron)
        (process,) = cron.truth.processes
        assert cron.truth.sessions[0].application_name == "100%"
        assert parents(process.pid)[1] == ["/bin/sh", "-c", job.replace("\\%", "%") + " "]


@pytest.mark.skipif(bool(why_no_hurry()), reason=why_no_hurry() or "there is one")
def test_runs_that_overlap(bed: Bed) -> None:
    """Three runs of one line, each started by the daemon's own clock, which runs sixty times as fast."""
    job = holder_command(bed.dsn(), "--sessions", "2", "--at-most", "3")
    with bed.cron([f"* * * * * root {job}"], hurry=True, processes=3, sessions=6) as cron:
        check(bed, cron)
        assert {tuple(parents(process.pid)[1]) for process in cron.truth.processes} == {("/bin/sh", "-c", job)}
        with open(f"/proc/{cron.truth.processes[0].pid}/environ", "rb") as file:
            assert b"FAKETIME" not in file.read()


def test_script_that_hangs(bed: Bed) -> None:
    job = command(sys.executable, hanging("queue_join_no_task_done"))
    with bed.cron([f"@reboot root {job}"], sessions=4, env=bed.hang_env(4)) as cron:
        check(bed, cron)
        (process,) = cron.truth.processes
        assert cron.pid in ancestors(process.pid)


def test_nothing_is_left(bed: Bed) -> None:
    with bed.cron([f"@reboot root ({holder_command(bed.dsn())} &)"], sessions=1) as cron:
        pids = [cron.pid, *cron.truth.pids]
    gone(pids)
    assert not os.path.exists(cron.keeper.directory)
    with open("/proc/mounts", encoding="utf-8") as file:
        assert "pgusher-bed" not in file.read()
