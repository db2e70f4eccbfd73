"""Crontab lines under the guard: what cron and the shell make of them is what they made of them before."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.cron.crontab import before_percent, parse
from pgusher.collect.cron.dialect import ELSEWHERE, UNKNOWN, VIXIE
from pgusher.guard.adopt import ADOPTED, GUARDED, LEFT, Line, adopt, guarded, limit_of
from pgusher.model.jobs import CronEntry, CronKind

MINUTE = 60_000_000
WORDS = ["pgusher", "run", "--timeout", "9m"]


def terms(entry: CronEntry) -> tuple[str, int | None]:
    return "job", None if entry.schedule == "@reboot" else 10 * MINUTE


def adopted(text: str, kind: CronKind = CronKind.USER) -> tuple[str, tuple[Line, ...]]:
    raw = text.encode("latin-1")
    entries = parse(raw, kind, "f", dialect=ELSEWHERE).entries
    made, lines = adopt(raw, entries, terms)
    return made.decode("latin-1"), lines


@pytest.mark.parametrize(
    ("command", "made"),
    [
        ("python a.py", "pgusher run --timeout 9m --name job -- python a.py"),
        ("python 'a b' $HOME *.x", "pgusher run --timeout 9m --name job -- python 'a b' $HOME *.x"),
        ("A=1 B='x y' python a.py", "A=1 B='x y' pgusher run --timeout 9m --name job -- python a.py"),
        ("x >> log 2>&1", "pgusher run --timeout 9m --name job -- x >> log 2>&1"),
        ("x # note; & this", "pgusher run --timeout 9m --name job -- x # note; & this"),
        ("cd /srv && ./x", "pgusher run --timeout 9m --name job -- /bin/sh -c 'cd /srv && ./x'"),
        ("a | b", "pgusher run --timeout 9m --name job -- /bin/sh -c 'a | b'"),
        ("a; 'b'", "pgusher run --timeout 9m --name job -- /bin/sh -c 'a; '\"'\"'b'\"'\"''"),
        ("x \\\\\\; y", "pgusher run --timeout 9m --name job -- /bin/sh -c 'x \\\\\\; y'"),
        ("x $(date)", "pgusher run --timeout 9m --name job -- /bin/sh -c 'x $(date)'"),
        ('x "$(date)"', "pgusher run --timeout 9m --name job -- /bin/sh -c 'x \"$(date)\"'"),
        ("x `date`", "pgusher run --timeout 9m --name job -- /bin/sh -c 'x `date`'"),
        ("> log x", "pgusher run --timeout 9m --name job -- /bin/sh -c '> log x'"),
        ("echo 'a\\tb'", "pgusher run --timeout 9m --name job -- /bin/sh -c 'echo '\"'\"'a\\tb'\"'\"''"),
        ("exec x", "pgusher run --timeout 9m --name job -- /bin/sh -c 'exec x'"),
        ("x +\\%F %in put", "pgusher run --timeout 9m --name job -- x +\\%F %in put"),
        ("a; b %in", "pgusher run --timeout 9m --name job -- /bin/sh -c 'a; b' %in"),
        ("caf\xe9", "pgusher run --timeout 9m --name job -- caf\xe9"),
    ],
)  # fmt: skip
def test_a_command(command: str, made: str) -> None:
    assert guarded(command, WORDS, "job", "/bin/sh").text == made


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("x &", "background"),
        ("x & y", "background"),
        ("(x &)", "background"),
        ("x &> /dev/null", "background"),
        ("x&>>log", "background"),
        ("sh -c 'x &'", "background"),
        ("cd /srv && sudo bash -lc 'x > log & y'", "background"),
        ("su bob -c 'x &> log'", "background"),
        ("nohup x", "nohup"),
        ("/usr/sbin/service nginx restart >/dev/null", "service"),
        ("test -x /etc/init.d/atop && /etc/init.d/atop restart", "init.d/atop"),
        ("cd /x; /usr/bin/setsid y", "setsid"),
        ("run-parts --report /etc/cron.hourly", "run-parts"),
        ("test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }", "many jobs"),
        ("A=1", "runs nothing"),
        ("x 'y", "not closed"),
        ('x "y', "not closed"),
        ("%in", "no command"),
        ('x "$(a & b)"', "not understood"),
    ],
)
def test_what_is_left(command: str, why: str) -> None:
    made = guarded(command, WORDS, "job", "/bin/sh")
    assert (made.text, why in made.why) == ("", True), made


def test_what_leaves_nothing_in_the_background_is_no_reason() -> None:
    for command in ("bash -c 'x & y & wait'", "bash -c 'x &> log'", "sh -c 'x && y'", "ssh host 'x &'", "a 'x &'"):
        assert guarded(command, WORDS, "job", "/bin/sh").text, command
    assert guarded("x &> log", WORDS, "job", "/bin/bash").text.endswith("-- /bin/bash -c 'x &> log'")


def test_no_other_byte_is_changed() -> None:
    text = (
        "# a note\r\nMAILTO=x\n\n  */10  *\t* * *   a  b \n@reboot daemon\n* * * * * x\r\n"
        "*/5 * * * * /opt/pgusher run -- y\n0 3 * * * z"
    )
    made, lines = adopted(text)
    assert made == text.replace("   a  b ", "   pgusher run --timeout 9m --name job -- a  b ").replace(
        "* z", "* pgusher run --timeout 9m --name job -- z"
    )
    assert [one.state for one in lines] == [ADOPTED, LEFT, LEFT, GUARDED, ADOPTED]
    assert adopted(made)[0] == made


def test_a_system_crontab_keeps_its_users() -> None:
    made, _ = adopted("*/10 * * * * root  a\n-* * * * * bob b\n", CronKind.SYSTEM)
    assert made == (
        "*/10 * * * * root  pgusher run --timeout 9m --name job -- a\n"
        "-* * * * * bob pgusher run --timeout 9m --name job -- b\n"
    )


def test_the_shell_of_the_crontab_runs_it() -> None:
    made, _ = adopted("SHELL=/bin/bash\n* * * * * a | b\n")
    assert made.endswith("-- /bin/bash -c 'a | b'\n")


@pytest.mark.parametrize("shell", ["/usr/bin/python3", "/usr/bin/fish", "/bin/tcsh", "/bin/bash -l"])
def test_what_is_written_for_another_kind_of_shell_is_left(shell: str) -> None:
    made, (line,) = adopted(f"SHELL={shell}\n* * * * * import this\n")
    assert (line.state, shell in line.why, "pgusher" in made) == (LEFT, True, False)


def test_a_comment_guards_nothing() -> None:
    made, lines = adopted("* * * * * x # not yet: pgusher run\n* * * * * cd y; pgusher run -- x # 'note'\n")
    assert [one.state for one in lines] == [ADOPTED, GUARDED]
    assert made.startswith("* * * * * pgusher run --timeout 9m --name job -- x #")


def test_a_command_that_cron_would_not_take_is_left() -> None:
    made, (line,) = adopted("* * * * * " + "x" * 980 + "\n")
    assert (line.state, "998" in line.why) == (LEFT, True)
    assert made.count("pgusher") == 0


@pytest.mark.parametrize(
    ("minutes", "limit"),
    [(1, "54s"), (2, "108s"), (5, "4m"), (10, "9m"), (60, "54m"), (1440, "21h"), (7 * 1440, "6d"), (0, "1s")],
)
def test_the_limit_of_a_pause(minutes: int, limit: str) -> None:
    assert limit_of(minutes * MINUTE) == limit


# -- held to a real shell: a stand-in for `pgusher` that runs what stands behind the two dashes

SCRIPT = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
PIECES = st.sampled_from(
    ["echo a", "echo 'a\\tb'", "printf '\\%s' \"x y\"", "A=1 env", "cat", "true", "false", "echo \\'",
     'echo "it\'s"', "cd /", "pwd",
     "echo $((1+2))", "echo '$(no)'", "echo $(echo c)", "echo `echo d`", "(echo e)", "echo \\%", "echo caf\\\\"]
)  # fmt: skip
BETWEEN = st.sampled_from([" && ", "; ", " | ", " || ", " 2>&1; ", " > /dev/null; "])


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("bin")
    (place / "pgusher").write_text(SCRIPT)
    (place / "pgusher").chmod(0o755)
    return str(place)


def output(line: str, place: str) -> tuple[int, bytes]:
    given = before_percent(line.encode(), halves=VIXIE.halves_backslashes)
    environ = {"PATH": f"{place}:{os.defpath}", "LC_ALL": "C"}
    done = subprocess.run(["/bin/sh", "-c", given], input=b"in\n", capture_output=True, env=environ, check=False)
    return done.returncode, done.stdout


def test_a_shell_does_the_same(stand_in: str) -> None:
    def same(parts: list[str], marks: list[str]) -> None:
        line = "".join(part + mark for part, mark in zip(parts, [*marks[: len(parts) - 1], ""], strict=True))
        made = guarded(line, WORDS, "job", "/bin/sh")
        assert made.text, (line, made.why)
        assert output(made.text, stand_in) == output(line, stand_in), (line, made.text)

    lists = st.lists(PIECES, min_size=1, max_size=3)
    settings(max_examples=40)(given(lists, st.lists(BETWEEN, min_size=3, max_size=3))(same))()


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_text_raises_and_nothing_else_changes(text: str) -> None:
    for kind in (CronKind.USER, CronKind.SYSTEM):
        raw = f"# x\n* * * * * {text}\nA=b\n".encode("latin-1")
        entries = parse(raw, kind, "f", dialect=UNKNOWN).entries
        made, lines = adopt(raw, entries, terms)
        changed = {one.entry.line for one in lines if one.state == ADOPTED}
        pairs = zip(raw.split(b"\n"), made.split(b"\n"), strict=True)
        assert all(number in changed or a == b for number, (a, b) in enumerate(pairs, 1))
        again = parse(made, kind, "f", dialect=UNKNOWN).entries
        assert [(e.line, e.schedule, e.user, e.shell) for e in again] == [
            (e.line, e.schedule, e.user, e.shell) for e in entries
        ]
