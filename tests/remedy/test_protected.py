"""What is never ended, whoever names it: a world with each of them, named in every way there is."""

from __future__ import annotations

from typing import Any

import pytest

from pgusher.model.findings import Diagnosis
from pgusher.model.plan import Plan
from pgusher.model.process import Process
from pgusher.model.values import replace
from pgusher.remedy.plan import Terms, Wanted, make_plan
from pgusher.remedy.protected import guarded, process_reason
from tests.diagnose.worlds import World
from tests.remedy.planning import STUCK, TERMS, look, plan


def process(argv: str, exe: str = "") -> str:
    path = f'exe = "{exe}"' if exe else ""
    return f'slots = 100\n[[process]]\nargv = "{argv}"\n{path}\nsessions = [{{ count = 2, idle = "3h" }}]\n'


def everything(text: str) -> list[Plan]:
    """The plans that name it by its holder, its sessions, its processes, and by what it does."""
    snapshot, _ = look(text)
    pids = tuple(s.pid for s in snapshot.slot_sessions if not s.own)
    named = tuple(h.name for h in snapshot.holders if h.name != "pgusher")
    clients = tuple(pid for h in snapshot.holders for pid in h.processes)
    wishes: list[dict[str, Any]] = [{"holders": named}, {"sessions": pids, "exact": True}, {"processes": clients}]
    wishes += [{"idle_for": 1_000_000}, {"holders": named, "idle_for": 1_000_000}]
    return [plan(text, **wish) for wish in wishes]


PROTECTED = [
    ("pg_dump shop", "/usr/bin/pg_dump", "it is a backup"),
    ("pg_basebackup -D /b", "/usr/bin/pg_basebackup", "it is a backup"),
    ("pg_receivewal -D /b", "/usr/bin/pg_receivewal", "it is a backup"),
    ("pgbackrest backup", "/usr/bin/pgbackrest", "it is a backup"),
    ("python3 /usr/bin/barman backup all", "/usr/bin/python3.11", "it is a backup"),
    ("pgbouncer /etc/pgbouncer.ini", "/usr/sbin/pgbouncer", "pooler"),
    ("odyssey /etc/odyssey.conf", "/usr/bin/odyssey", "pooler"),
    ("pgpool -n", "/usr/sbin/pgpool", "pooler"),
    ("postgres: app shop 10.0.0.9(4) idle", "/usr/lib/postgresql/15/bin/postgres", "PostgreSQL itself"),
    ("dockerd -H fd://", "/usr/bin/dockerd", "container runtime"),
    ("containerd-shim-runc-v2 -id x", "/usr/bin/containerd-shim-runc-v2", "container runtime"),
    ("podman run x", "/usr/bin/podman", "container runtime"),
    ("conmon -c x", "/usr/bin/conmon", "container runtime"),
    ("python3 /usr/bin/patroni /etc/p.yml", "/usr/bin/python3.11", "keeps the cluster up"),
    ("sshd: anna@pts/1", "/usr/sbin/sshd", "keeps a login"),
    ("/usr/sbin/cron -f", "/usr/sbin/cron", "cron daemon"),
    ("/lib/systemd/systemd --user", "/lib/systemd/systemd", "running"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "exe", "why"), PROTECTED, ids=[one[0].split()[0] for one in PROTECTED])
def test_it_is_spared_however_it_is_named(argv: str, exe: str, why: str) -> None:
    for made in everything(process(argv, exe)):
        assert made.steps == ()
        assert any(one.protected and why in one.why for one in made.spared), made.spared


def test_a_superusers_session_is_spared_and_its_process_too() -> None:
    text = process("python3 /opt/x.py").replace("count = 2,", "superuser = true,")
    for made in everything(text):
        assert made.steps == ()
        assert any(one.protected and "superuser" in one.why for one in made.spared)


@pytest.mark.parametrize(
    "kind", ["walsender", "autovacuum worker", "parallel worker", "logical replication worker", ""]
)
def test_what_is_no_clients_session_is_spared(kind: str) -> None:
    snapshot, _ = look(process("python3 /opt/x.py"))
    facts = snapshot.facts
    first = next(s for s in facts.sessions if not s.own)
    others = tuple(replace(s, backend_type=kind) if s.pid == first.pid else s for s in facts.sessions)
    changed = replace(snapshot, facts=replace(facts, sessions=others))
    for wish in (
        Wanted(sessions=(first.pid,), exact=True),
        Wanted(processes=tuple(p.pid for p in facts.processes[-1:])),
    ):
        made = make_plan(changed, Diagnosis(), wish, TERMS)
        assert made.steps == ()
        assert any(one.protected for one in made.spared)


def test_who_says_that_it_is_a_backup_is_believed() -> None:
    text = process("python3 /opt/x.py").replace('idle = "3h"', 'idle = "3h", app = "pg_dump"')
    for made in everything(text):
        assert made.steps == ()


def test_pgusher_and_what_is_above_it_is_spared() -> None:
    snapshot, diagnosis = look(STUCK)
    python = next(p for p in snapshot.facts.processes if p.argv == ("python3", "version_history.py"))
    terms = replace(TERMS, own=(python.pid,))
    for wish in (Wanted(), Wanted(processes=(python.pid,)), Wanted(processes=(python.ppid,))):
        made = make_plan(snapshot, diagnosis, wish, terms)
        assert made.steps == ()
        assert any(one.protected and "pgusher itself" in one.why for one in made.spared)


def test_its_own_session_is_never_in_a_plan() -> None:
    snapshot, diagnosis = look(STUCK)
    own = next(s for s in snapshot.facts.sessions if s.own)
    made = make_plan(snapshot, diagnosis, Wanted(sessions=(own.pid,), exact=True), TERMS)
    assert made.steps == ()
    assert made.spared[0].protected


def test_a_job_below_which_something_protected_runs_is_spared_as_a_whole() -> None:
    snapshot, diagnosis = look(STUCK)
    facts = snapshot.facts
    python = next(p for p in facts.processes if p.argv == ("python3", "version_history.py"))
    shim = Process(4242, 1, python.start_time, python.pid, "dockerd", 0, exe="/usr/bin/dockerd", argv=("dockerd",))
    changed = replace(snapshot, facts=replace(facts, processes=(*facts.processes, shim)))
    made = make_plan(changed, diagnosis, Wanted(), TERMS)
    assert made.steps == ()
    assert any(one.protected and "below it runs dockerd" in one.why for one in made.spared)


def test_a_session_that_has_not_finished_its_login_is_left_to_its_timeout() -> None:
    text = process("python3 /opt/x.py").replace('count = 2, idle = "3h"', 'state = "authenticating"')
    for made in everything(text):
        assert [step.lever.value for step in made.steps] in ([], ["end_process"])


@pytest.mark.parametrize("pid", [0, 1])
def test_process_1_is_never_ended(pid: int) -> None:
    assert process_reason(pid, ["anything"]) == "it is process 1"


@pytest.mark.parametrize("name", ["containerd-shim", "systemd-oomd", "tmux: client", "containerd-shim-kata-v2"])
def test_their_kin_are_known_by_the_beginning_of_the_name(name: str) -> None:
    assert process_reason(77, [name]) is not None


def test_a_name_that_the_kernel_has_cut_is_known() -> None:
    assert process_reason(77, ["containerd-shim-runc-v2"[:15]]) == "it is a container runtime"


def test_an_ordinary_program_is_not_protected() -> None:
    world = World(STUCK)
    snapshot = world.snapshot()
    names = {p.argv[0] for p in snapshot.facts.processes if guarded(p) is None}
    assert names == {"/bin/sh", "python3"}
    assert process_reason(77, ["/opt/systemdoc/app", "cronicle", "my-postgres-job.py"]) is None


def test_the_terms_name_pgusher() -> None:
    assert Terms("a", 0, 0, 0, TERMS.reach).own == ()
