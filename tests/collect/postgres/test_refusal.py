"""Why nobody was let in is told by what no language changes. tests/.../test_languages.py asks real servers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.postgres.refusal import one_line, parse_error
from pgusher.model.server import Ceiling

TCP = 'connection to server at "127.0.0.1", port 5432 failed: '
UNIX = 'connection to server on socket "/x/.s.PGSQL.5432" failed: '
IN_ROLE = "LOCATION:  InitializeSessionUserId, miscinit.c:808"
LAST = "\nLOCATION:  InitProcess, proc.c:357"


@pytest.mark.parametrize(
    ("text", "words", "sqlstate", "ceiling"),
    [
        (
            f"{TCP}FATAL:  53300: sorry, too many clients already{LAST}",
            "sorry, too many clients already",
            "53300",
            Ceiling.ALL,
        ),
        (
            f"{TCP}致命的エラー:  53300: 現在クライアント数が多すぎます{LAST}",
            "現在クライアント数が多すぎます",
            "53300",
            Ceiling.ALL,
        ),
        (
            f"{UNIX}ВАЖНО:  53300: извините\nDETAIL:  подробности\nHINT:  x\nLOCATION:  InitPostgres, postinit.c:894",
            "извините",
            "53300",
            Ceiling.RESERVED,
        ),
        (
            f'{TCP}FATAL:  53300: too many connections for role "app"\n{IN_ROLE}',
            'too many connections for role "app"',
            "53300",
            Ceiling.ROLE,
        ),
        (
            f'{TCP}FATAL:  53300: too many connections for database "a"\nLOCATION:  CheckMyDatabase, postinit.c:3',
            'too many connections for database "a"',
            "53300",
            Ceiling.DATABASE,
        ),
        (
            f"{TCP}FATAL:  53300: x\nLOCATION:  SomethingElse, other.c:3",
            "x",
            "53300",
            None,
        ),
        (
            f'{TCP}FATAL:  3D000: database "x" does not exist\nLOCATION:  I, p.c:1',
            'database "x" does not exist',
            "3D000",
            None,
        ),
        (
            f"{TCP}Connection refused\n\tIs the server running?",
            f"{TCP}Connection refused Is the server running?",
            None,
            None,
        ),
    ],
)
def test_what_libpq_says(text: str, words: str, sqlstate: str | None, ceiling: Ceiling | None) -> None:
    refusal = parse_error(text)
    assert (refusal.words, refusal.sqlstate, refusal.ceiling) == (words, sqlstate, ceiling)
    assert refusal.by == ("postgres" if sqlstate else None)
    assert refusal.too_many == (sqlstate == "53300")


def test_of_several_tries_the_one_for_lack_of_slots_counts() -> None:
    """With sslmode=prefer libpq tries again without TLS, and may be refused for that."""
    first = f"{TCP}FATAL:  53300: sorry, too many clients already{LAST}\n"
    second = f"{TCP}FATAL:  28000: no pg_hba.conf entry\nLOCATION:  ClientAuthentication, auth.c:500"
    for text in (first + second, f"{second}\n{first}"):
        refusal = parse_error(text)
        assert (refusal.sqlstate, refusal.words) == ("53300", "sorry, too many clients already")
        assert refusal.ceiling is Ceiling.ALL


def test_a_role_s_name_cannot_pretend_to_be_another_refusal() -> None:
    text = f'{TCP}FATAL:  28000: role "x FATAL:  1: " does not exist\nLOCATION:  InitializeSessionUserId, miscinit.c:9'
    assert parse_error(text).sqlstate == "28000"


def test_a_pooler_s_own_refusal_has_no_ceiling() -> None:
    refusal = parse_error(f"{TCP}FATAL:  53300: sorry, too many clients already")
    assert (refusal.by, refusal.ceiling, refusal.too_many) == ("a pooler", None, True)
    bouncer = parse_error(f"{TCP}FATAL:  08P01: no more connections allowed (max_client_conn)")
    assert (bouncer.by, bouncer.too_many) == ("PgBouncer", True)
    assert not parse_error(f"{TCP}FATAL:  08P01: unsupported startup parameter: options").too_many


def test_words_are_redacted_harmless_and_short() -> None:
    refusal = parse_error(f"{TCP}FATAL:  28P01: \x1b[31mpassword=s3cret9\nLOCATION:  auth_failed, auth.c:1")
    assert "s3cret9" not in refusal.words
    assert "\x1b" not in refusal.words
    assert len(one_line("x" * 10_000)) == 400


PARTS = st.sampled_from(
    ["FATAL:  ", "53300: ", "\nLOCATION:  ", "InitProcess, proc.c:1", "failed: ", "\n", "x", ": ", "\0"]
)


@settings(max_examples=2000)
@given(st.one_of(st.text(), st.lists(PARTS).map("".join)))
def test_no_text_raises(text: str) -> None:
    refusal = parse_error(text)
    assert refusal.ceiling is None or refusal.too_many
    assert "\n" not in refusal.words
