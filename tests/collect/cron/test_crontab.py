"""Crontabs: what cron gives to the shell, to the byte; what it would not take is told with its line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.cron.crontab import GAPS, Crontab, before_percent, parse
from pgusher.collect.cron.dialect import BUSYBOX, CRONIE, ELSEWHERE, UNKNOWN, VIXIE, Dialect
from pgusher.model.jobs import CronEntry, CronKind

S = "s3cr3tW0rd"
SYSTEM, USER = CronKind.SYSTEM, CronKind.USER


def system(raw: bytes, dialect: Dialect = VIXIE, known: tuple[str, ...] = ("root", "web")) -> Crontab:
    return parse(raw, SYSTEM, "/etc/crontab", dialect=dialect, knows=lambda name: name in known)


def user(raw: bytes, dialect: Dialect = VIXIE) -> Crontab:
    return parse(raw, USER, "bob", user="bob", dialect=dialect)


def one(crontab: Crontab) -> CronEntry:
    assert crontab.gaps == ()
    (entry,) = crontab.entries
    return entry


def why(crontab: Crontab) -> list[tuple[str, str]]:
    return [(gap.what, gap.why) for gap in crontab.gaps]


def test_a_system_crontab() -> None:
    raw = b"""# comment
SHELL=/bin/bash
PATH=/usr/bin

*/10 *\t* * *   web\tcd /srv && python3 history.py
  @daily root /bin/x # not a comment
"""
    found = system(raw)
    assert found.gaps == ()
    assert found.entries == (
        CronEntry(SYSTEM, "/etc/crontab", 5, "*/10 * * * *", "cd /srv && python3 history.py", "web", "/bin/bash"),
        CronEntry(SYSTEM, "/etc/crontab", 6, "@daily", "/bin/x # not a comment", "root", "/bin/bash"),
    )


def test_a_user_crontab() -> None:
    entry = one(user(b"0 4 1,15 jan-Mar mon-fri   backup.sh  \n"))
    assert entry == CronEntry(USER, "bob", 1, "0 4 1,15 jan-Mar mon-fri", "backup.sh  ", "bob")


def test_text_is_taken_as_well() -> None:
    assert one(parse("* * * * * é\n", USER, "f")).command == "é"


@pytest.mark.parametrize(
    ("line", "shell"),
    [
        (b"SHELL=/bin/bash", "/bin/bash"),
        (b"SHELL = /bin/bash  ", "/bin/bash"),
        (b"SHELL='/bin/my shell'", "/bin/my shell"),
        (b'SHELL="/bin/bash" ', "/bin/bash"),
        (b"'SHELL' = /bin/bash", "/bin/bash"),
        (b"  SHELL=/bin/bash", "/bin/bash"),
        (b"SHELL=/bin/bash\r", "/bin/bash"),
        (b"XSHELL=/bin/bash", None),
        (b"shell=/bin/bash", None),
    ],
)
def test_shell(line: bytes, shell: str | None) -> None:
    assert one(user(line + b"\n* * * * * x\n")).shell == shell


def test_shell_counts_from_its_line_on() -> None:
    found = user(b"* * * * * a\nSHELL=/bin/zsh\n* * * * * b\nSHELL=/bin/sh\n* * * * * c\n")
    assert [entry.shell for entry in found.entries] == [None, "/bin/zsh", "/bin/sh"]


def test_environment_lines_leave_nothing_behind() -> None:
    found = user(f"PGPASSWORD={S}\nMAILTO='a b'\nTOKEN = {S}\n* * * * * x\n".encode())
    assert S not in repr(found)
    assert len(found.entries) == 1


def test_an_assignment_before_a_command_is_a_command() -> None:
    assert one(user(b"* * * * * LANG=C x\n")).command == "LANG=C x"
    assert S not in repr(user(f"* * * * * PGPASSWORD={S} psql 'postgresql://u:{S}@h/d'\n".encode()))


@pytest.mark.parametrize(
    ("given_", "shell_gets"),
    [
        (b"mail -s x%body%more", b"mail -s x"),
        (b"date +\\%F", b"date +%F"),
        (b"date +\\%F \\%T%x", b"date +%F %T"),
        (b"%x", b""),
        (b"a\\b", b"a\\b"),
        (b"a\\\\b", b"a\\b"),
        (b"a\\\\%b", b"a\\"),
        (b"a\\", b"a\\"),
        (b"a\\\\\\%b", b"a\\%b"),
    ],
)
def test_percent(given_: bytes, shell_gets: bytes) -> None:
    assert before_percent(given_) == shell_gets


def test_percent_in_other_daemons() -> None:
    assert before_percent(b"a\\\\b \\%c%d", halves=False) == b"a\\\\b %c"
    assert one(user(b"* * * * * a\\\\b%c\n", CRONIE)).command == "a\\\\b"
    assert one(user(b"* * * * * date +%F\n", BUSYBOX)).command == "date +%F"


def test_windows_line_ends_are_a_part_of_the_command_and_end_the_file_at_an_empty_line() -> None:
    found = user(b"* * * * * x\r\n\r\n* * * * * y\r\n")
    assert [entry.command for entry in found.entries] == ["x\r", "y\r"]
    assert why(found) == [("bob:2", "bad minute")]


def test_without_a_last_newline_the_last_line_does_not_count() -> None:
    found = user(b"* * * * * x\n* * * * * y")
    assert [entry.command for entry in found.entries] == ["x"]
    assert why(found) == [("bob:2", "no newline at the end of the file")]
    assert "runs no line of this file" in found.gaps[0].opens
    assert user(b"* * * * * x\n# y").gaps == user(b"* * * * * x\n \t").gaps == ()
    assert "runs no line" not in user(b"* * * * * y", CRONIE).gaps[0].opens
    assert one(user(b"* * * * * y", ELSEWHERE)).command == "y"
    assert one(user(b"* * * * * y", BUSYBOX)).command == "y"


def test_a_missing_user_is_told_and_the_word_is_not() -> None:
    found = system(f"* * * * * PGPASSWORD={S} x\n* * * * * python3 x.py\n* * * * * root x\n* * * * * root\n".encode())
    assert [entry.line for entry in found.entries] == [3]
    assert [gap.what for gap in found.gaps] == ["/etc/crontab:1", "/etc/crontab:2", "/etc/crontab:4"]
    assert found.gaps[1].why.startswith("bad username")
    assert found.gaps[2].why == "no command, or no user before it"
    assert S not in repr(found)


def test_without_a_list_of_users_every_name_is_one() -> None:
    entry = one(parse(b"* * * * * svc-app x\n", SYSTEM, "f"))
    assert (entry.user, entry.command) == ("svc-app", "x")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"60 * * * * x", "bad minute"),
        (b"* 24 * * * x", "bad hour"),
        (b"* * 0 * * x", "bad day-of-month"),
        (b"* * * 13 * x", "bad month"),
        (b"* * * * 8 x", "bad day-of-week"),
        (b"* * * * *", "no command"),
        (b"* * * *", "bad day-of-week"),
        (b"* * * * * * x", "bad command"),
        (b"@Daily x", "bad time specifier"),
        (b"@every 5m x", "bad time specifier"),
        (b"@daily", "no command"),
        (b"*/0 * * * * x", "bad minute"),
        (b"1, * * * * x", "bad minute"),
        (b"5/10 * * * * x", "bad minute"),
        (b"-* * * * * x", "bad minute"),
        (b"1~5 * * * * x", None),
        (b"hello world", "bad minute"),
        (b"* * * * * " + b"x" * 999, "command too long"),
        (b"* * * * * " + b"x" * 998, None),
        (b"5-1 * * * * x", None),
        (b"*;x 5;y * * * x", None),
        (b"* * * jan sun x", None),
        (b"00 4 * * 7 x", None),
        (b"MAILTO=", "bad minute"),
        (b'MAILTO="" # none', "bad minute"),
        (b"\xff\xfe", "bad minute"),
        (b"\0", "bad minute"),
    ],
)
def test_what_debians_cron_says(line: bytes, reason: str | None) -> None:
    found = user(line + b"\n* * * * * after\n")
    assert why(found) == ([("bob:1", reason)] if reason else [])
    assert found.entries[-1].command == "after"


@pytest.mark.parametrize("line", [b"-* * * * * x", b"5~20 * ~ 1~ * x", b"~7 * * * * x", b"5/10 * * * * x", b"MAILTO="])
def test_what_other_daemons_take(line: bytes) -> None:
    assert user(line + b"\n", UNKNOWN).gaps == ()


def test_a_dash_is_no_part_of_the_schedule() -> None:
    entry = one(system(b"-*/5 * * * * root x\n", CRONIE))
    assert (entry.schedule, entry.user, entry.command) == ("*/5 * * * *", "root", "x")


def test_a_second_blank_behind_the_user_belongs_to_the_command() -> None:
    assert one(system(b"* * * * * root   x y\n")).command == "  x y"


def test_a_nul_ends_the_command() -> None:
    found = user(b"* * * * * a\0* * * * * b\n* * * * * c\n")
    assert [(entry.line, entry.command) for entry in found.entries] == [(1, "a"), (1, "b"), (2, "c")]
    assert user(b"# \0 x\n").gaps == ()


def test_there_is_no_line_continuation() -> None:
    found = user(b"* * * * * a \\\nb\n")
    assert found.entries[0].command == "a \\"
    assert why(found) == [("bob:2", "bad minute")]


def test_a_file_of_garbage_is_told_in_a_few_gaps() -> None:
    found = user(b"garbage\n" * 10_000)
    assert len(found.gaps) == GAPS + 1
    assert (found.gaps[-1].what, found.gaps[-1].count) == (f"{10_000 - GAPS} more lines of bob", 10_000 - GAPS)


def test_a_gap_shows_nothing_of_the_line() -> None:
    found = user(f"password={S} * * x\n* * * * {S}\nfoo {S} bar\n".encode(), UNKNOWN)
    assert S not in repr(found)


FIELD = st.sampled_from(
    [b"*", b"*/5", b"1-5", b"0", b"61", b"sun", b"jan", b"1,2", b"*/0", b"x", b"~", b"@daily", b"-"]
)
PIECE = st.sampled_from(
    [b" ", b"\t", b"\n", b"\r", b"\0", b"#", b"=", b"'", b'"', b"%", b"\\", b"SHELL", b"root", b"\xff", b"* * * * * "]
)
HOSTILE = st.one_of(st.binary(max_size=80), st.lists(st.one_of(FIELD, PIECE), max_size=20).map(b"".join))


@settings(max_examples=2000, deadline=None)
@given(HOSTILE, st.sampled_from([VIXIE, CRONIE, BUSYBOX, UNKNOWN, ELSEWHERE]), st.sampled_from([SYSTEM, USER]))
def test_no_bytes_raise(raw: bytes, dialect: Dialect, kind: CronKind) -> None:
    found = parse(raw, kind, "f", dialect=dialect)
    for entry in found.entries:
        assert 1 <= entry.line <= raw.count(b"\n") + 1
        assert entry.schedule
        assert "\n" not in entry.command
        assert "%" not in entry.command or b"\\%" in raw or not dialect.percent
    for gap in found.gaps:
        assert re.fullmatch(r"f:\d+|\d+ more lines of f", gap.what)
    repr(found).encode()


@settings(max_examples=600, deadline=None)
@given(st.lists(FIELD, min_size=5, max_size=5), st.binary(min_size=1, max_size=80))
def test_a_line_is_one_entry_or_one_gap(fields: list[bytes], command: bytes) -> None:
    command = command.replace(b"\n", b"").replace(b"\0", b"").replace(b"=", b"")
    found = user(b" ".join(fields) + b" " + command + b"\n", UNKNOWN)
    assert len(found.entries) + len(found.gaps) == 1


def test_a_huge_file_of_one_line_or_of_many_takes_linear_time() -> None:
    for raw in (
        b"'" * 500_000,
        b"a=" * 300_000,
        b" " * 500_000,
        b"* * * * * " + b"%\\" * 300_000,
        b"\0" * 500_000,
        b"a=b\0" * 200_000,
        b"* * * * * x\n" * 40_000,
        b"*/5," * 200_000,
        b"0" * 500_000 + b" * * * * x",
    ):
        user(raw + b"\n")
