"""By which names a process is judged: what is run, and never what is only an argument of it."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.model.process import Process
from pgusher.remedy.names import CLAIMS, names_of
from pgusher.remedy.protected import guarded, process_reason

PYTHON = "/usr/bin/python3.11"
BACKUP, POOLER, KEEPER = "it is a backup", "it is a pooler: every client behind it would be cut off", "it keeps"


def judged(line: str, exe: str = PYTHON, *, below: bool = False) -> str | None:
    argv = tuple(shlex.split(line))
    comm = exe.rpartition("/")[2][:15]
    return guarded(Process(77, 1, 1, 1, comm, 0, argv=argv, exe=exe), below=below)


@pytest.mark.parametrize(
    ("line", "exe", "why"),
    [
        ("python3 -W ignore -X utf8 -u /opt/venv/bin/supervisord -c /etc/s.conf", PYTHON, KEEPER),
        ("python3 -W ignore -m barman backup main", PYTHON, BACKUP),
        ("python3 -Wignore -Xutf8 -sPm barman backup main", PYTHON, BACKUP),
        ("python3 -m barman.cli backup main", PYTHON, BACKUP),
        ("python3 -m supervisor.supervisord", PYTHON, KEEPER),
        ("python3 -sP /usr/bin/barman cron", PYTHON, BACKUP),
        ("python3 -c 'import sys; from barman.cli import main; main()'", PYTHON, BACKUP),
        ("python3 -c 'from supervisor.supervisord import main'", PYTHON, KEEPER),
        ("python3 --check-hash-based-pycs always /usr/bin/patroni /etc/p.yml", PYTHON, "it keeps the cluster up"),
        ("ruby -I lib -r json /usr/local/bin/pg_dump", "/usr/bin/ruby3.1", BACKUP),
        # What only stands before it.
        ("env -u LANG PGOPTIONS=-cx nice -n 5 pg_dump shop", "/usr/bin/env", BACKUP),
        ("ionice -c 3 nice -n 19 pg_basebackup -D /b", "/usr/bin/ionice", BACKUP),
        ("timeout -k 5 9h python3 -X utf8 -m barman cron", "/usr/bin/timeout", BACKUP),
        ("setsid /usr/sbin/pgbouncer -d /etc/p.ini", "/usr/bin/setsid", POOLER),
        ("flock -n /l -c 'pg_dump shop'", "/usr/bin/flock", BACKUP),
        ("sudo -u barman barman cron", "/usr/bin/sudo", BACKUP),
        # In doubt a word that means nothing else is a claim, and so is a program's path.
        ("python3 /opt/venv/bin/ddtrace-run barman backup main", PYTHON, BACKUP),
        ("python3 -m runpy barman", PYTHON, BACKUP),
        ("python3 -m coverage run /usr/bin/supervisord", PYTHON, KEEPER),
        ("uv run --no-project barman cron", "/usr/bin/uv", None),  # behind an option nobody knows what a word is
        ("uv run barman cron", "/usr/bin/uv", BACKUP),
        ("strace -f /usr/lib/postgresql/15/bin/postgres -D /d", "/usr/bin/strace", "it is PostgreSQL itself"),
        # A title, and the name under which it was started.
        ("'barman: backing up main'", PYTHON, BACKUP),
        ("pg_dump shop", "/opt/tools/dump-any", BACKUP),
    ],
)  # fmt: skip
def test_what_runs_is_known_behind_whatever_stands_before_it(line: str, exe: str, why: str | None) -> None:
    found = judged(line, exe, below=True)
    assert (found is None) if why is None else (found is not None and found.startswith(why)), found


@pytest.mark.parametrize(
    ("line", "exe"),
    [
        ("psql -h pgbouncer -U app shop", "/usr/lib/postgresql/15/bin/psql"),
        ("psql postgres", "/usr/lib/postgresql/15/bin/psql"),
        ("psql -d barman", "/usr/lib/postgresql/15/bin/psql"),
        ("python3 report.py --host pgbouncer --user postgres", PYTHON),
        ("python3 report.py postgres login", PYTHON),
        ("python3 -m jobs.postgres", PYTHON),
        ("python3 -m pgusher.demo.actors.job", PYTHON),
        ("python3 -c 'import psycopg; psycopg.connect()'", PYTHON),
        ("python3 manage.py init", PYTHON),
        ("node server.js", "/usr/bin/node"),
        # What is over by now protects nobody: what runs still is a process of its own.
        ("sh -c 'pg_dump shop > /b; python3 report.py'", "/bin/dash"),
        ("timeout 9h sh -c 'pg_dump shop; python3 report.py'", "/usr/bin/timeout"),
        ("timeout 9h python3 report.py", "/usr/bin/timeout"),
        ("nice -n 5 python3 -u report.py --mode cron", "/usr/bin/nice"),
    ],
)
def test_an_argument_is_no_name(line: str, exe: str) -> None:
    assert judged(line, exe) is None


def test_sudo_is_spared_itself_and_is_only_a_bridge_below() -> None:
    assert judged("sudo -u app python3 x.py", "/usr/bin/sudo") == "it keeps a login"
    assert judged("sudo -u app python3 x.py", "/usr/bin/sudo", below=True) is None


def test_each_claim_names_what_is_never_ended() -> None:
    assert [name for name in CLAIMS if process_reason(77, [name]) is None] == []


@given(
    st.lists(st.text(max_size=30) | st.sampled_from(["-m", "-c", "env", "timeout", "sh", "python3", "-W"]), max_size=12)
)
@settings(max_examples=2000, deadline=None)
def test_any_command_line_is_taken(argv: list[str]) -> None:
    assert all(names_of("x", argv[0] if argv else None, argv))
