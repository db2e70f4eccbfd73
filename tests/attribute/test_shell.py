"""Crontab command lines, read as a shell reads them."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.attribute.shell import LONGEST, inner, quote, shell_code, simple_commands, unquote


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("", []),
        ("python a.py", [["python", "a.py"]]),
        ("cd /srv && python a.py", [["cd", "/srv"], ["python", "a.py"]]),
        ("a; b | c || d & e", [["a"], ["b"], ["c"], ["d"], ["e"]]),
        ("( cd /x; y & )", [["cd", "/x"], ["y"]]),
        ("a >> /var/log/x 2>&1", [["a"]]),
        ("a 2> err < in arg", [["a", "arg"]]),
        ("a &> all", [["a"]]),
        ("a 1>&2 b", [["a", "b"]]),
        ("LANG=C PATH+=:/x a B=2", [["a", "B=2"]]),
        ("if test -f x; then run x; fi", [["test", "-f", "x"], ["run", "x"]]),
        ("! grep -q x y", [["grep", "-q", "x", "y"]]),
        ("a 'b c' \"d $e\" f\\ g", [["a", "b c", "d $e", "f g"]]),
        ("a 'it'\"'\"'s'", [["a", "it's"]]),
        ("a # not this", [["a"]]),
        ("a b#c", [["a", "b#c"]]),
        ("a '#' b", [["a", "#", "b"]]),
        ("a \\\n b", [["a", "b"]]),
        ("a 'torn", [["a", "torn"]]),
        ('a "torn \\', [["a", "torn \\"]]),
        ("a >", [["a"]]),
    ],
)
def test_a_command_line_falls_apart_into_simple_commands(text: str, commands: list[list[str]]) -> None:
    assert simple_commands(text) == commands


@given(
    st.lists(st.text(st.characters(exclude_characters="\x00\n", codec="utf-8"), max_size=12), min_size=1, max_size=6)
)
def test_quoted_words_come_back_as_they_were(words: list[str]) -> None:
    # A first word that looks like an assignment or a keyword is none when it was quoted; ours takes it for one.
    line = ["run", *words]
    assert simple_commands(shlex.join(line)) == [line]


@given(st.text(max_size=300))
def test_quote_is_undone_by_a_shell(text: str) -> None:
    assert shlex.split(quote(text)) == [text]


@given(st.text(alphabet="ab'\"\\ $;&|()<>#\n2", max_size=200))
def test_torn_text_is_read_without_complaint(text: str) -> None:
    assert all(words for words in simple_commands(text))
    assert isinstance(unquote(text), str)


@pytest.mark.parametrize(
    "text", ["'" * 100_000, "\\" * 100_000, "a" * 100_000, '"\\' * 50_000, "1" * 100_000, "(&" * 50_000]
)
def test_a_huge_line_is_cut_where_reading_ends(text: str) -> None:
    assert sum(len(word) for words in simple_commands(text) for word in words) <= LONGEST


@pytest.mark.parametrize(
    ("words", "really"),
    [
        (["python", "a.py"], [["python", "a.py"]]),
        (["sudo", "-u", "bob", "python", "a.py"], [["python", "a.py"]]),
        (["sudo", "-nHu", "bob", "--", "a"], [["a"]]),
        (["sudo", "A=1", "a"], [["a"]]),
        (["env", "-i", "A=1", "B=2", "a", "C=3"], [["a", "C=3"]]),
        (["nice", "-n", "19", "ionice", "-c3", "a"], [["a"]]),
        (["nice", "-19", "a"], [["a"]]),
        (["timeout", "-k", "5", "9m", "a", "b"], [["a", "b"]]),
        (["timeout", "--kill-after=5", "9m", "a"], [["a"]]),
        (["flock", "-n", "/run/l", "a"], [["a"]]),
        (["flock", "-w", "5", "/run/l", "-c", "x y; z"], [["x", "y"], ["z"]]),
        (["chronic", "setsid", "nohup", "a"], [["a"]]),
        (["bash", "-lc", "cd /x && a b"], [["cd", "/x"], ["a", "b"]]),
        (["sh", "-c", "sudo sh -c 'a b'"], [["a", "b"]]),
        (["sh", "script.sh", "-c", "x"], [["sh", "script.sh", "-c", "x"]]),
        (["su", "-", "bob", "-c", "a b"], [["a", "b"]]),
        (["pgusher", "run", "--timeout", "9m", "--", "python", "a.py"], [["python", "a.py"]]),
        (["taskset", "-c", "0-3", "a"], [["a"]]),
        (["sudo"], [["sudo"]]),
        (["timeout", "5"], [["timeout", "5"]]),
        ([], []),
    ],
)
def test_what_only_runs_another_command_is_looked_through(words: list[str], really: list[list[str]]) -> None:
    assert inner(words) == really


def test_shells_within_shells_end_somewhere() -> None:
    text = "x"
    for _ in range(7):
        text = f"sh -c {shlex.quote(text)}"
    assert inner(shlex.split(text))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sh", "-c", "a b"], "a b"),
        (["bash", "-e", "-c", "a"], "a"),
        (["bash", "-ec", "a", "name"], "a"),
        (["sh", "x.sh"], None),
        (["sh", "-c"], None),
        (["sh", "--", "-c", "x"], None),
        (["sh"], None),
    ],
)
def test_the_text_behind_c(words: list[str], code: str | None) -> None:
    assert shell_code(words) == code
