"""Command lines: every word that matters, no secret, and never more than is told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect import argv
from pgusher.model.redact import HIDDEN

S = "s3cr3tW0rd"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"python3\0x.py\0", ("python3", "x.py")),
        (b"python3\0\0x.py\0", ("python3", "", "x.py")),
        (b"gunicorn: master [orders]\0\0\0\0\0\0", ("gunicorn: master [orders]",)),
        (b"nginx: worker process                 ", ("nginx: worker process",)),
        (b"postgres: web shop 10.0.0.7(4242) idle\0", ("postgres: web shop 10.0.0.7(4242) idle",)),
        (b"sh\0-c\0cd /srv && python3 x.py\0", ("sh", "-c", "cd /srv && python3 x.py")),
        (b"caf\xe9\0\xf0\x9f\x90\x98\0", ("caf\\xe9", "🐘")),
        (b"", ()),
        (b"\0\0\0", ()),
        (b"\x1b[2Jx\0\n\0", ("\x1b[2Jx", "\n")),
    ],
)
def test_words(raw: bytes, words: tuple[str, ...]) -> None:
    assert argv.parse(raw) == words


def test_a_long_word_is_cut_with_a_mark() -> None:
    (python, flag, code) = argv.parse(b"python3\0-c\0" + b"x" * 10_000 + b"\0")
    assert (python, flag) == ("python3", "-c")
    assert code == "x" * argv.WORD + "[+5904 characters]"


def test_many_words_are_cut_with_a_mark() -> None:
    words = argv.parse(b"".join(b"w%d\0" % number for number in range(5_000)))
    assert words[: argv.WORDS] == tuple(f"w{number}" for number in range(argv.WORDS))
    assert words[argv.WORDS :] == ("[+4744 words]",)


@pytest.mark.parametrize(
    "raw",
    [
        f"psql\0postgresql://bob:{S}@db/x\0",
        f"psql\0--password\0{S}\0",
        f"sh\0-c\0PGPASSWORD={S} psql\0",
        f"worker: postgresql://bob:{S}@db/x --password {S}",
        "x\0" + "y" * 9_000 + f" password={S}\0",
    ],
)
def test_no_secret(raw: str) -> None:
    assert S not in "".join(argv.parse(raw.encode()))
    assert HIDDEN in "".join(argv.parse(raw.encode())) or len(raw) > 9_000


@pytest.mark.parametrize("tail", [f"postgresql://bob:{S}", f"x=postgresql://bob:{S}", f"ghp_{S}", f"password={S}", S])
@pytest.mark.parametrize("before", ["", "word ", "word\0"])
def test_a_secret_that_lost_its_end_is_hidden(before: str, tail: str) -> None:
    raw = (before + tail).encode()
    shown = argv.parse(raw, limit=len(raw))
    assert S not in "".join(shown)
    assert "".join(shown).endswith(HIDDEN)


def test_command_equals_the_word_that_a_shell_was_given() -> None:
    for command in (
        "cd /srv && ./x.py",
        f"PGPASSWORD={S} psql -c 'select 1' 'postgresql://u:{S}@h/d'",
        "x" * 9_000,
        "a\tb ",
    ):
        assert argv.parse(f"/bin/sh\0-c\0{command}\0".encode())[2] == argv.command(command)


WORDS = st.sampled_from([b"\0", b" ", b"--password", b"://", b"@", b"=", b"x" * 5000, b"\xff", b"sh", b"-c", b"pwd"])


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.lists(WORDS, max_size=40).map(b"".join)), st.integers(1, 500))
def test_no_bytes_raise_and_all_is_bounded(raw: bytes, limit: int) -> None:
    words = argv.parse(raw, limit)
    assert len(words) <= argv.WORDS + 1
    assert all(len(word) <= argv.WORD + 40 for word in words)
    "".join(words).encode()
