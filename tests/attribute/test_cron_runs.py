"""Processes and the cron jobs they are runs of, in every shape that a cron gives them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgusher.attribute import attribute
from pgusher.attribute.crontab import Crontab, became
from pgusher.model.evidence import Certainty
from pgusher.model.holder import ChainEnd, HolderKind
from pgusher.model.jobs import CronEntry, CronKind
from pgusher.model.process import Process
from pgusher.model.snapshot import Snapshot
from tests.attribute.builders import PTS3, World, only, told

COMMAND = "cd /srv && python version_history.py"
JOB = ("python", "version_history.py")


def seen(world: World, *processes: Process) -> Snapshot:
    for process in processes:
        world.holds(process)
    return attribute(world.facts())


def test_three_overlapping_runs_are_one_holder() -> None:
    world = World()
    world.line(COMMAND, file="/etc/cron.d/reports", line=7)
    runs = [world.cron_run(COMMAND, *JOB) for _ in range(3)]
    snapshot = seen(world, *runs, *runs)
    holder = only(snapshot.holders)
    assert holder.name == "cron/version_history"
    assert holder.kind is HolderKind.CRON
    assert holder.runs == 3
    assert holder.processes == tuple(run.pid for run in runs)
    assert len(holder.sessions) == 6
    assert holder.certainty is Certainty.PROVEN
    assert holder.title == f"cron job */10 * * * * {COMMAND} (root, /etc/cron.d/reports:7)"
    assert "/etc/cron.d/reports:7" in told(snapshot.chains[0])


def test_what_is_ended_is_the_process_and_not_its_shell() -> None:
    world = World()
    world.line(COMMAND)
    run = world.cron_run(COMMAND, *JOB)
    stop = only(seen(world, run).holders).stop or ""
    assert stop.endswith(f"kill {run.pid}")


def test_a_script_and_the_program_it_waits_for_are_both_ended() -> None:
    world = World()
    world.line("/opt/backup.sh")
    script = world.cron_run("/opt/backup.sh", "/bin/bash", "/opt/backup.sh")
    dump = world.process("/usr/bin/pg_dump", "shop", parent=script)
    holder = only(seen(world, dump).holders)
    assert holder.name == "cron/backup"
    assert holder.program == "pg_dump"
    assert holder.processes == (dump.pid,)
    assert (holder.stop or "").endswith(f"kill {script.pid} {dump.pid}")


def test_children_of_a_run_belong_to_it() -> None:
    world = World()
    world.line(COMMAND)
    run = world.cron_run(COMMAND, *JOB)
    child = world.process(*JOB, parent=run)
    holder = only(seen(world, run, child).holders)
    assert holder.runs == 1
    assert holder.processes == (run.pid, child.pid)


def test_two_lines_with_one_command_are_both_named() -> None:
    world = World()
    world.line(COMMAND, line=3, schedule="0 8 * * *")
    world.line(COMMAND, line=9, schedule="0 20 * * *")
    holder = only(seen(world, world.cron_run(COMMAND, *JOB)).holders)
    assert holder.name == "cron/version_history"
    assert holder.certainty is Certainty.PROVEN
    assert "/etc/crontab:3 0 8 * * *; /etc/crontab:9 0 20 * * *" in holder.title


def test_the_same_command_of_another_user_is_not_the_line() -> None:
    world = World()
    world.line(COMMAND, user="bob", file="/var/spool/cron/crontabs/bob")
    snapshot = seen(world, world.cron_run(COMMAND, *JOB, uid=1001))
    holder = only(snapshot.holders)
    assert holder.name == "cron/version_history+alice"
    assert holder.title == f"cron job {COMMAND} (alice)"
    assert snapshot.chains[0].conflicts == ("/var/spool/cron/crontabs/bob:3 has this command, but for bob",)


def test_a_crontab_that_could_not_be_read_leaves_the_job_by_its_command() -> None:
    world = World()
    snapshot = seen(world, world.cron_run(COMMAND, *JOB))
    holder = only(snapshot.holders)
    assert holder.name == "cron/version_history"
    assert holder.certainty is Certainty.PROVEN  # that it is cron's
    assert "no crontab line" in told(snapshot.chains[0])


def test_redacted_commands_are_compared_with_redacted_ones() -> None:
    world = World()
    world.line("PGPASSWORD=*** python sync.py")
    holder = only(seen(world, world.cron_run("PGPASSWORD=*** python sync.py", "python", "sync.py")).holders)
    assert holder.certainty is Certainty.PROVEN
    assert holder.name == "cron/sync"


def test_a_shell_that_made_way_leaves_a_likely_job() -> None:
    world = World()
    world.line("cd /srv && python sync.py --all >> /var/log/sync 2>&1")
    daemon = world.process("/usr/sbin/cron", "-f", comm="cron", cgroup="/system.slice/cron.service")
    child = world.process("/usr/sbin/CRON", "-f", parent=daemon, comm="cron")
    run = world.process("python", "sync.py", "--all", parent=child)
    snapshot = seen(world, run)
    holder = only(snapshot.holders)
    assert (holder.name, holder.certainty, holder.runs) == ("cron/sync", Certainty.LIKELY, 1)
    assert (holder.stop or "").endswith(f"kill {run.pid}")


def test_busybox_keeps_no_process_between() -> None:
    world = World()
    world.line("/srv/sync.py --all", file="/var/spool/cron/crontabs/root", kind=CronKind.USER)
    daemon = world.process("crond", "-f", comm="crond", exe="/bin/busybox", cgroup="/")
    run = world.process("/usr/bin/python3", "/srv/sync.py", "--all", parent=daemon)
    holder = only(seen(world, run).holders)
    assert (holder.name, holder.certainty) == ("cron/sync", Certainty.LIKELY)
    other = world.process("/usr/bin/python3", "/srv/other.py", parent=daemon)
    snapshot = seen(world, other)
    assert snapshot.chains[-1].holder == "cron/other"


def test_cronie_and_supercronic() -> None:
    for argv, comm in ((("/usr/sbin/CROND", "-n"), "crond"), (("supercronic", "/etc/tab"), "supercronic")):
        world = World()
        world.line(COMMAND)
        daemon = world.process(*argv, comm=comm, cgroup="/")
        shell = world.process("/bin/bash", "-c", COMMAND, parent=daemon)
        holder = only(seen(world, world.process(*JOB, parent=shell)).holders)
        assert (holder.name, holder.certainty) == ("cron/version_history", Certainty.PROVEN)


def test_run_parts_leads_to_its_script() -> None:
    world = World()
    line = "cd / && run-parts --report /etc/cron.hourly"
    world.line(line)
    world.line(
        "/etc/cron.hourly/sync", file="/etc/cron.hourly/sync", line=0, kind=CronKind.RUN_PARTS, name="sync", user="root"
    )
    parts = world.cron_run(line, "run-parts", "--report", "/etc/cron.hourly")
    known = world.process("/bin/sh", "/etc/cron.hourly/sync", parent=parts)
    psql = world.process("psql", parent=known)
    other = world.process("/etc/cron.hourly/other", parent=parts)
    snapshot = seen(world, psql, other)
    assert [chain.holder for chain in snapshot.chains] == ["cron/sync", "cron/other"]
    assert {chain.certainty for chain in snapshot.chains} == {Certainty.PROVEN}
    assert "runs /etc/cron.hourly/sync" in told(snapshot.chains[0])


def test_run_parts_that_is_a_script_itself() -> None:
    world = World()
    daemon = world.process("/usr/sbin/anacron", "-s", comm="anacron", cgroup="/")
    parts = world.process("/bin/bash", "/usr/bin/run-parts", "/etc/cron.daily", parent=daemon, comm="run-parts")
    assert (
        only(seen(world, world.process("/bin/sh", "/etc/cron.daily/report", parent=parts)).holders).name
        == "cron/report"
    )


def test_anacron_jobs() -> None:
    world = World()
    world.line("nice /srv/report.py", file="/etc/anacrontab", kind=CronKind.ANACRON, name="report.daily")
    daemon = world.process(
        "/usr/sbin/anacron", "-d", "-q", "-s", comm="anacron", cgroup="/system.slice/anacron.service"
    )
    shell = world.process("/bin/sh", "-c", "nice /srv/report.py", parent=daemon)
    holder = only(seen(world, world.process("python3", "/srv/report.py", parent=shell)).holders)
    assert (holder.name, holder.certainty) == ("cron/report.daily", Certainty.PROVEN)


def test_at_jobs() -> None:
    world = World()
    daemon = world.process("/usr/sbin/atd", "-f", comm="atd", cgroup="/system.slice/atd.service")
    shell = world.process("sh", parent=daemon, uid=1000)
    job = world.process("python", "once.py", parent=shell, uid=1000)
    world.holds(job)
    assert only(attribute(world.facts()).holders).name == "at/job"
    world.line("python once.py", file="/var/spool/cron/atjobs/a0001", line=0, kind=CronKind.AT, user="bob", schedule="")
    holder = only(attribute(world.facts()).holders)
    assert (holder.name, holder.certainty) == ("at/once", Certainty.LIKELY)
    world.line("python two.py", file="/var/spool/cron/atjobs/a0002", line=0, kind=CronKind.AT, user="bob", schedule="")
    holder = only(attribute(world.facts()).holders)
    assert holder.certainty is Certainty.GUESSED
    assert "one of 2" in holder.title


def orphan(world: World, run: Process, *argv: str, **values: object) -> Process:
    """A process that was handed to init."""
    return world.process(*argv, uid=run.uid, **values)  # type: ignore[arg-type]


def test_a_background_child_is_tied_by_its_session() -> None:
    world = World()
    world.line(COMMAND)
    run = world.cron_run(COMMAND, *JOB)
    left = orphan(world, run, "python", "helper.py", sid=run.sid, cgroup="/")
    snapshot = seen(world, run, left)
    holder = only(snapshot.holders)
    assert holder.name == "cron/version_history"
    assert holder.runs == 1
    assert holder.certainty is Certainty.LIKELY
    assert snapshot.chains[0].certainty is Certainty.PROVEN
    assert f"session {run.sid}" in told(snapshot.chains[1])


def test_a_setsid_child_is_tied_by_its_audit_session() -> None:
    world = World()
    world.line(COMMAND)
    run = world.cron_run(COMMAND, *JOB)
    world.processes[:] = [
        replace(p, audit_session=55) if p.argv[:1] != ("/usr/sbin/cron",) and p.pid != 1 else p for p in world.processes
    ]
    run = next(p for p in world.processes if p.pid == run.pid)
    left = orphan(world, run, "python", "helper.py", audit=55, cgroup="/")
    snapshot = seen(world, left)
    holder = only(snapshot.holders)
    assert (holder.name, holder.certainty) == ("cron/version_history", Certainty.LIKELY)
    assert "audit session 55" in told(snapshot.chains[0])


def test_a_session_that_the_daemon_itself_has_ties_nothing() -> None:
    world = World()
    world.line(COMMAND)
    daemon = world.process("/usr/sbin/crond", "-n", comm="crond", sid=400, audit=3, cgroup="/")
    shell = world.process("/bin/sh", "-c", COMMAND, parent=daemon)
    run = world.process(*JOB, parent=shell)
    by_hand = world.process("python", "/home/bob/x.py", sid=400, audit=3, cgroup="/")
    snapshot = seen(world, run, by_hand)
    assert snapshot.chains[1].holder == "script/x.py"


def test_a_session_of_two_different_jobs_ties_nothing() -> None:
    world = World()
    world.line("python a.py", line=1)
    world.line("python b.py", line=2)
    runs = [world.cron_run(f"python {name}.py", "python", f"{name}.py") for name in "ab"]
    world.processes[:] = [replace(p, sid=800) if p.pid in {r.pid for r in runs} else p for p in world.processes]
    left = world.process("python", "helper.py", sid=800, cgroup="/")
    assert seen(world, left).chains[0].holder == "script/helper.py"


def test_the_cgroup_of_cron_ties_an_orphan() -> None:
    world = World()
    world.line("( cd /srv; python helper.py --all & )")
    cgroup = "/system.slice/cron.service"
    left = world.process("python", "helper.py", "--all", cgroup=cgroup)
    snapshot = seen(world, left)
    holder = only(snapshot.holders)
    assert (holder.name, holder.certainty) == ("cron/helper", Certainty.LIKELY)
    world.line("cd /x; python helper.py --all", line=9)
    holder = only(attribute(world.facts()).holders)
    assert holder.certainty is Certainty.GUESSED
    assert "one of 2" in holder.title
    other = world.process("python", "nowhere.py", cgroup=cgroup)
    snapshot = seen(world, other)
    assert snapshot.chains[-1].holder == "cron/nowhere"
    assert snapshot.chains[-1].certainty is Certainty.LIKELY


def test_without_systemd_an_equal_command_line_is_a_guess() -> None:
    world = World()
    world.line("setsid python /srv/sync.py --all &")
    left = world.process("python", "/srv/sync.py", "--all", cgroup="/", sid=555_555)
    holder = only(seen(world, left).holders)
    assert (holder.name, holder.certainty) == ("cron/sync", Certainty.GUESSED)


@pytest.mark.parametrize(
    "values",
    [
        {"cgroup": "/user.slice/user-1000.slice/session-3.scope"},
        {"cgroup": "/", "tty": PTS3},
        {"cgroup": "/", "uid": 1000},
    ],
)
def test_the_same_script_by_hand_is_another_holder(values: dict[str, object]) -> None:
    world = World()
    world.line("python /srv/sync.py --all")
    run = world.cron_run("python /srv/sync.py --all", "python", "/srv/sync.py", "--all")
    by_hand = world.process("python", "/srv/sync.py", "--all", **values)  # type: ignore[arg-type]
    snapshot = seen(world, run, by_hand)
    assert snapshot.chains[0].holder == "cron/sync"
    assert snapshot.chains[1].holder.startswith(("script/sync.py", "terminal/root@pts3"))
    assert snapshot.chains[1].end is ChainEnd.HOLDER


def test_a_parent_that_is_too_young_is_no_parent() -> None:
    world = World()
    world.line(COMMAND)
    run = world.cron_run(COMMAND, *JOB)
    world.processes[:] = [
        replace(p, start_ticks=p.start_ticks + 10**6) if p.argv[:2] == ("/bin/sh", "-c") else p for p in world.processes
    ]
    assert seen(world, run).chains[0].holder != "cron/version_history"


def test_a_login_within_a_job_is_a_person() -> None:
    world = World()
    world.line("tmux new -d")
    server = world.cron_run("tmux new -d", "tmux", "new", "-d")
    server = replace(server, comm="tmux: server")
    world.processes[-1] = server
    shell = world.process("-bash", parent=server, tty=PTS3, comm="bash", uid=1000)
    snapshot = seen(world, world.process("psql", parent=shell, tty=PTS3, uid=1000))
    assert snapshot.chains[0].holder == "terminal/bob@pts3"


def test_a_script_that_is_called_cron_is_none() -> None:
    world = World()
    script = world.process("python", "/srv/app/cron", comm="cron")
    assert seen(world, world.process("psql", parent=script)).chains[0].holder == "script/cron"


def test_names_of_jobs_do_not_depend_on_what_runs_now() -> None:
    world = World()
    world.line("python /srv/a/sync.py", line=1)
    world.line("python /srv/b/sync.py", line=2)
    run = world.cron_run("python /srv/a/sync.py", "python", "/srv/a/sync.py")
    alone = seen(world, run).chains[0].holder
    assert alone == "cron/sync+crontab:1"
    both = seen(world, world.cron_run("python /srv/b/sync.py", "python", "/srv/b/sync.py"))
    assert [chain.holder for chain in both.chains] == [alone, "cron/sync+crontab:2"]


def test_jobs_of_two_users_are_told_apart_by_user() -> None:
    world = World()
    world.line("python sync.py", file="/var/spool/cron/crontabs/bob", user="bob", kind=CronKind.USER)
    world.line("python sync.py", file="/var/spool/cron/crontabs/alice", user="alice", kind=CronKind.USER)
    runs = [world.cron_run("python sync.py", "python", "sync.py", uid=uid) for uid in (1000, 1001)]
    snapshot = seen(world, *runs)
    assert [chain.holder for chain in snapshot.chains] == ["cron/sync+bob", "cron/sync+alice"]
    assert {chain.certainty for chain in snapshot.chains} == {Certainty.PROVEN}


@pytest.mark.parametrize(
    ("words", "argv", "fits"),
    [
        ("python a.py", "python a.py", True),
        ("python a.py", "/usr/bin/python a.py", True),
        ("python a.py", "python b.py", False),
        ("python a.py", "python a.py --all", False),
        ("python", "python", False),
        ("/srv/a.py --x", "/usr/bin/python3 /srv/a.py --x", True),
        ("/srv/a.py", "/usr/bin/env python3 /srv/a.py", True),
        ("/srv/a.py", "vim x /srv/a.py", False),
        ("python $HOME/a.py --x", "python /root/a.py --x", False),
        ("python a.py $X", "python a.py 5", True),
        ("psql -c *** shop", "psql -c *** shop", True),
        ("curl -u bob:x http://h", "curl -u bob:*** http://h", True),
        ("$RUN", "python", False),
    ],
)
def test_a_crontab_line_becomes_a_command_line(words: str, argv: str, fits: bool) -> None:
    assert became(words.split(), argv.split()) is fits


def test_a_crontab_asks_by_the_words_of_a_command_line() -> None:
    lines = [
        CronEntry(CronKind.SYSTEM, "/etc/crontab", i, "", f"cd /srv && python job_{i}.py", "root") for i in range(50)
    ]
    crontab = Crontab(lines)
    assert [job.places for job in crontab.with_argv(["python", "job_7.py"], "root")] == ["/etc/crontab:7"]
    assert crontab.with_argv(["python", "job_7.py"], "bob") == []
    assert crontab.with_argv([], None) == []


def test_a_title_alone_makes_no_cron() -> None:
    """`exec -a CRON bash -c ...`: the executable says what it is."""
    world = World()
    world.line(COMMAND)
    fake = world.process("CRON", "-c", COMMAND, comm="bash", exe="/usr/bin/bash", uid=1000)
    shell = world.process("/bin/sh", "-c", COMMAND, parent=fake, uid=1000)
    snapshot = seen(world, world.process(*JOB, parent=shell, uid=1000))
    holder = only(snapshot.holders)
    assert (holder.kind, holder.name) == (HolderKind.SCRIPT, "script/version_history.py")
    conflict = f"pid {fake.pid} is no cron daemon: it calls itself CRON, and runs /usr/bin/bash"
    assert conflict in snapshot.chains[0].conflicts


def test_a_copy_of_a_shell_that_is_called_cron_proves_nothing() -> None:
    world = World()
    world.line(COMMAND)
    fake = world.process("/tmp/x/cron", "-c", "x", comm="cron", exe="/tmp/x/cron")
    shell = world.process("/bin/sh", "-c", COMMAND, parent=fake)
    snapshot = seen(world, world.process(*JOB, parent=shell))
    holder = only(snapshot.holders)
    assert (holder.name, holder.certainty) == ("cron/version_history", Certainty.LIKELY)
    assert "cron runs /tmp/x/cron, which is no place for a system's cron" in told(snapshot.chains[0])


@pytest.mark.parametrize(
    ("comm", "kind"), [("cron", HolderKind.CRON), ("CRON", HolderKind.CRON), ("bash", HolderKind.SCRIPT)]
)
def test_where_the_executable_may_not_be_read_the_kernel_s_name_has_to_agree(comm: str, kind: HolderKind) -> None:
    world = World()
    world.line(COMMAND)
    runner = world.process("/usr/sbin/CRON", "-f", comm=comm, exe=None)
    shell = world.process("/bin/sh", "-c", COMMAND, parent=runner)
    snapshot = seen(world, world.process(*JOB, parent=shell))
    holder = only(snapshot.holders)
    assert holder.kind is kind
    assert holder.certainty is Certainty.LIKELY
    if kind is HolderKind.CRON:
        assert "which executable CRON runs may not be read" in told(snapshot.chains[0])
    else:
        assert any("calls itself CRON, and the kernel calls it bash" in one for one in snapshot.chains[0].conflicts)
