"""Processes that are hard to end: all of them are gone afterwards, and nobody else."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pgusher.app.free_trees import Trees
from pgusher.model.findings import Safety
from pgusher.model.plan import Lever, Outcome, OutcomeKind, ProcessIdentity, Step
from pgusher.model.values import replace
from pgusher.remedy.act import Context, Log, act
from pgusher.remedy.act.pinned import Pinned, Stat, pin, read_stat
from pgusher.remedy.act.table import own_numbers, related
from pgusher.remedy.act.tree import RefusedError, Tree, ancestors, read_table
from tests.bed.requirements import needs_root
from tests.remedy.act.victims import Victims, plan_of, process_identity


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(str(tmp_path / "free.jsonl"))
    yield log
    log.close()


@pytest.fixture
def victims() -> Iterator[Victims]:
    with Victims() as made:
        yield made


def step_of(identity: ProcessIdentity, number: int = 1) -> Step:
    return Step(number, Lever.END_PROCESS, "end it", Safety.UNSAFE, "its work", process=identity)


def end(log: Log, *identities: ProcessIdentity, grace: float = 5.0) -> list[Outcome]:
    steps = [step_of(identity, number) for number, identity in enumerate(identities, 1)]
    return list(act(plan_of(None, steps), steps, Context(log, grace=grace)))


def running(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and stat.state not in "ZX"


def left_of_group(group: int) -> list[Stat]:
    """Those of a group that run still: stopped, so that none of them can hop away from the look."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGSTOP)
    return [stat for stat in read_table().values() if stat.group == group and stat.state not in "ZX"]


@pytest.mark.parametrize(
    ("words", "grace"),
    [
        ("wait", 5.0),
        ("child", 5.0),
        ("orphan", 5.0),
        ("daemon", 5.0),
        ("daemon ignore", 0.05),
        ("stopped", 5.0),
        ("many", 5.0),
        ("ignore", 0.05),
        ("child orphan stopped stubborn ignore", 0.05),
        ("late", 1.6),
    ],
)
def test_it_ends_with_all_its_descendants(words: str, grace: float, log: Log, victims: Victims) -> None:
    process = victims.start(*words.split())
    (outcome,) = end(log, victims.identity(process), grace=grace)
    assert outcome.kind is OutcomeKind.DONE, outcome
    assert [pid for pid in victims.pids if pid != process.pid and running(pid)] == []
    # Also those that it never told of: nobody is left in its session, or says that one of them is its parent.
    left = [stat for stat in read_table().values() if stat.session == process.pid and stat.pid != process.pid]
    assert [stat for stat in left if stat.state not in "ZX"] == []
    needs_kill = "ignore" in words or "late" in words
    assert process.wait(5) == (0 if words == "late" else -signal.SIGKILL if needs_kill else -signal.SIGTERM)
    assert ("ignored TERM, and got KILL" in outcome.text) is needs_kill


def test_the_plan_counts_the_same_processes_as_the_act_ends(log: Log, victims: Victims) -> None:
    """The daemon and the child; not the zombie between the root and the daemon, which is ended already."""
    process = victims.start("daemon", "child")
    step = replace(step_of(victims.identity(process)), lever=Lever.END_PROCESS)
    trees = Trees()
    assert trees.look(plan_of(None, [step]))
    assert {one.pid for one in trees.below[process.pid]} == victims.pids - {process.pid}
    (outcome,) = end(log, victims.identity(process))
    assert outcome.text == f"ended process {process.pid} and 2 descendants"


def test_a_chain_that_forks_and_ends_without_rest_is_caught(log: Log, victims: Victims) -> None:
    process = victims.start("chain")
    (outcome,) = end(log, victims.identity(process))
    assert outcome.kind is OutcomeKind.DONE, outcome
    # One that hops is missed by a look at all processes; its group, stopped at once, cannot hop.
    assert left_of_group(process.pid) == []


def test_on_an_older_kernel_too(log: Log, victims: Victims, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pinned, "send_group", lambda *_: None)
    process = victims.start("chain", "ignore", "orphan")
    (outcome,) = end(log, victims.identity(process), grace=0.05)
    assert outcome.kind is OutcomeKind.DONE, outcome
    assert left_of_group(process.pid) == []


def test_several_are_told_first_and_waited_for_once(log: Log, victims: Victims) -> None:
    processes = [victims.start("ignore") for _ in range(3)]
    stages: list[tuple[str, int]] = []
    steps = [step_of(victims.identity(process), number) for number, process in enumerate(processes, 1)]

    def tell(stage: str, step: Step | None) -> None:
        stages.append((stage, step.number if step else 0))

    began = time.monotonic()
    outcomes = act(plan_of(None, steps), steps, Context(log, grace=0.2, tell=tell))
    assert [one.kind for one in outcomes] == ["done"] * 3
    assert time.monotonic() - began >= 0.2
    signalled = [number for stage, number in stages if stage == "signalled"]
    assert signalled == [1, 2, 3]
    assert stages.index(("waiting", 0)) > stages.index(("signalled", 3))
    assert [stage for stage, _ in stages].count("waiting") == 1


def test_nobody_beside_it_is_touched(log: Log, victims: Victims) -> None:
    bystander = victims.start("child", "orphan", "stubborn")
    innocent = set(victims.pids)
    process = victims.start("child", "orphan")
    assert end(log, victims.identity(process))[0].kind is OutcomeKind.DONE
    assert all(running(pid) for pid in innocent)
    assert {stat.state for pid in innocent if (stat := read_stat(pid))} <= {"S", "R"}
    assert bystander.poll() is None
    end(log, process_identity(bystander.pid), grace=0.05)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: replace(one, start_ticks=1), "its pid is another process's now"),
        (lambda one: replace(one, boot_id="another"), "the host was booted since"),
        (lambda one: replace(one, pid=2**22 + 5), "is gone already"),
        (lambda one: replace(one, pid_namespace=1), "from another pid namespace"),
    ],
)
def test_another_identity_is_left_alone(
    change: Callable[[ProcessIdentity], ProcessIdentity], said: str, log: Log, victims: Victims
) -> None:
    process = victims.start("wait")
    (outcome,) = end(log, change(victims.identity(process)))
    assert (outcome.kind, said in outcome.text) == ("refused" if "namespace" in said else "gone", True), outcome
    assert process.poll() is None


def test_pgusher_and_all_above_it_are_never_ended(log: Log) -> None:
    for pid in ancestors(os.getpid()):
        (outcome,) = end(log, process_identity(pid))
        assert outcome.kind is OutcomeKind.REFUSED, outcome
        assert "never ended" in outcome.text


def test_what_is_never_ended_protects_the_tree_above_it(log: Log, victims: Victims, tmp_path: Path) -> None:
    """A job that started a server of its own, say: it would go with the job."""
    program = tmp_path / "postgres"
    program.symlink_to(os.path.realpath(sys.executable))
    code = "import time; print(1, flush=True); time.sleep(600)"
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"{program} -I -S -c '{code}' & wait"], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        (outcome,) = end(log, process_identity(process.pid))
        assert outcome.kind is OutcomeKind.REFUSED, outcome
        assert "it is PostgreSQL itself" in outcome.text
        # All of it runs again.
        members = [stat for stat in read_table().values() if stat.session == process.pid]
        assert len(members) == 2
        assert {stat.state for stat in members} <= {"S", "R"}
    finally:
        for stat in read_table().values():
            if stat.session == process.pid:
                held = pin(stat.pid, start_ticks=stat.start_ticks)
                assert isinstance(held, Pinned)
                held.send(signal.SIGKILL)
                held.close()
        process.wait()
        process.stdout.close()


def test_a_backup_below_it_that_holds_no_session_protects_it(log: Log, victims: Victims) -> None:
    """By its first argument alone: its executable and short name are those of Python."""
    process = victims.start("child", "backup")
    stages: list[str] = []
    steps = [step_of(victims.identity(process))]
    (outcome,) = act(plan_of(None, steps), steps, Context(log, tell=lambda stage, _: stages.append(stage)))
    assert outcome.kind is OutcomeKind.REFUSED, outcome
    assert outcome.text.endswith("would go with it, and is never ended: it is a backup")
    assert {found.state for pid in victims.pids if (found := read_stat(pid))} <= {"S", "R"}
    assert "stopped" not in stages


def test_a_backup_that_comes_up_in_the_grace_runs_on(log: Log, victims: Victims) -> None:
    process = victims.start("child", "stubborn", "rescue")
    known = set(victims.pids)
    (outcome,) = end(log, victims.identity(process), grace=1.0)
    assert outcome.kind is OutcomeKind.DONE, outcome
    assert "; left alone: process " in outcome.text
    assert "is never ended: it is a backup" in outcome.text
    assert [pid for pid in known if pid != process.pid and running(pid)] == []
    (left,) = [one for one in read_table().values() if one.group == process.pid and one.state not in "ZX"]
    assert left.state in "SR"  # and it is not left stopped


@needs_root
def test_another_users_process_is_one_clear_refusal(victims: Victims) -> None:
    process = victims.start("child")
    identity = victims.identity(process)
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        os.chmod(directory, 0o777)  # noqa: S103 - for another user's log
        told, telling = os.pipe()
        child = os.fork()
        if child == 0:  # the interpreter's files may be closed to that user: what is needed is loaded already
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            (one,) = end(Log(f"{directory}/state/free.jsonl"), identity)
            os.write(telling, f"{one.kind.value}|{one.text}|{one.hint}".encode())
            os._exit(0)
        os.close(telling)
        assert os.waitpid(child, 0)[1] == 0
        with os.fdopen(told) as file:
            said = file.read()
    assert said.startswith(f"refused|process {process.pid} ("), said
    assert "belongs to uid 0: uid 65534 may not signal it|run it as root" in said
    assert {stat.state for pid in victims.pids if (stat := read_stat(pid))} <= {"S", "R"}


def stat(pid: int, ppid: int = 1, group: int = 1, session: int = 1, start: int = 0) -> Stat:
    return Stat(pid, ppid, group, session, start or pid, "S", "x", kernel_thread=False)


def test_who_belongs_to_a_tree() -> None:
    rows = [
        stat(1, 0),
        stat(10, 1, 10, 10),  # the root, leader of its session
        stat(11, 10, 10, 10), stat(12, 11, 12, 12),  # its child; a grandchild in a session of its own
        stat(13, 1, 10, 10),  # an orphan in the root's session
        stat(14, 13, 14, 14),  # and its child
        stat(20, 1, 20, 20), stat(21, 20, 20, 20),  # strangers
    ]  # fmt: skip
    table = {row.pid: row for row in rows}
    found = {one.pid for one in related(table, [(10, 10)], own_numbers([table[10]]))}
    assert found == {11, 12, 13, 14}


def test_a_number_that_became_a_strangers_proves_nothing() -> None:
    rows = [stat(1, 0), stat(10, 1, 10, 10, start=999), stat(11, 10, 10, 10)]
    table = {row.pid: row for row in rows}
    # The member had pid 10 and led session 10; who has them now began later.
    assert related(table, [(10, 10)], {10}) == []


def test_a_worker_takes_nobody_of_its_group_with_it() -> None:
    rows = [stat(1, 0), stat(10, 1, 10, 10), stat(11, 10, 10, 10), stat(12, 10, 10, 10)]
    table = {row.pid: row for row in rows}
    assert related(table, [(11, 11)], own_numbers([table[11]])) == []


def test_what_was_stopped_runs_again_when_it_may_not_be_ended(victims: Victims) -> None:
    process = victims.start("child", "stopped")
    before = {pid: read_stat(pid) for pid in victims.pids}
    held = pin(process.pid)
    assert isinstance(held, Pinned)
    own = next(pid for pid, found in before.items() if found is not None and found.state == "T")
    tree = Tree(held, own=[own])
    try:
        with pytest.raises(RefusedError, match="pgusher itself runs in it"):
            tree.freeze()
    finally:
        tree.close()
    states = {pid: found.state for pid in victims.pids if (found := read_stat(pid))}
    assert states[own] == "T"
    assert {state for pid, state in states.items() if pid != own} <= {"S", "R"}


@pytest.mark.parametrize("stage", ["stopped", "recorded"])
def test_who_interrupts_it_leaves_nothing_stopped(stage: str, log: Log, victims: Victims) -> None:
    process = victims.start("child", "orphan")
    steps = [step_of(victims.identity(process))]

    def tell(now: str, _step: Step | None) -> None:
        if now == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        act(plan_of(None, steps), steps, Context(log, tell=tell))
    assert {stat.state for pid in victims.pids if (stat := read_stat(pid))} <= {"S", "R"}


def test_a_tree_of_more_processes_than_descriptors(log: Log, victims: Victims) -> None:
    process = victims.start("many")
    while len(left_of_group(process.pid)) < 300:  # this stops them; CONT lets them fork on
        os.killpg(process.pid, signal.SIGCONT)
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGCONT)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        (outcome,) = end(log, victims.identity(process))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (200, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert outcome.kind is OutcomeKind.DONE, outcome
    assert left_of_group(process.pid) == []


def test_one_that_a_debugger_holds_gets_kill(log: Log, victims: Victims) -> None:
    """TERM is not delivered to it as long as the debugger does not let it go on; KILL is."""
    process = victims.start("wait")
    code = (
        "import ctypes, os, sys, time\n"
        "pid = int(sys.argv[1])\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.ptrace(16, pid, None, None):\n"  # PTRACE_ATTACH
        "    sys.exit(f'ptrace: {os.strerror(ctypes.get_errno())}')\n"
        "os.waitpid(pid, 0)\n"
        "sys.stdout.write('ready\\n')\n"
        "sys.stdout.flush()\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code, str(process.pid)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as debugger:  # fmt: skip
        try:
            assert debugger.stdout is not None
            assert debugger.stderr is not None
            if debugger.stdout.readline() != "ready\n":
                pytest.skip(f"one process may not trace another here: {debugger.stderr.read().strip()}")
            found = read_stat(process.pid)
            assert found is not None
            assert found.state == "t"
            (outcome,) = end(log, victims.identity(process), grace=0.05)
        finally:
            debugger.kill()
    assert outcome.kind is OutcomeKind.DONE, outcome
    assert "ignored TERM, and got KILL" in outcome.text
    assert process.wait(5) == -signal.SIGKILL


FREEZER = Path("/sys/fs/cgroup/freezer")


@needs_root
def test_one_that_the_kernel_does_not_let_end_is_told(log: Log, victims: Victims) -> None:
    """Frozen in a cgroup of version 1 it hears not even KILL, as one that waits for a dead file server."""
    group = FREEZER / f"pgusher-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no freezer of version 1 that could be used: {error.strerror}")
    try:
        process = victims.start("wait")
        (group / "cgroup.procs").write_text(str(process.pid))
        (group / "freezer.state").write_text("FROZEN")
        while (group / "freezer.state").read_text() != "FROZEN\n":
            time.sleep(0.001)
        steps = [step_of(victims.identity(process))]
        (outcome,) = act(plan_of(None, steps), steps, Context(log, grace=0.05, killed_for=0.1))
        assert outcome.kind is OutcomeKind.FAILED
        assert outcome.text == f"1 process of 1 did not end: {process.pid}"
        assert outcome.hint.startswith("the kernel waits for a device or a file server on their behalf")
        assert outcome.seen_after == "0 of 1 processes are gone"
        (group / "freezer.state").write_text("THAWED")
        assert process.wait(5) in {-signal.SIGKILL, -signal.SIGTERM}
    finally:
        (group / "freezer.state").write_text("THAWED")
        deadline = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.005)
        group.rmdir()
