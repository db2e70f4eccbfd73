"""What holds for every text: twice is once, a password in the quoting of its reader is hidden, time stays bounded."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.model.redact import redact_argv, redact_sql, redact_text

S = "hunter2secret"

PIECES = st.sampled_from(
    (
        *(
            " ",
            "'",
            '"',
            "\\",
            "\\'",
            "a",
            "x1",
            "=",
            ":",
            "@",
            "/",
            "://",
            "-",
            "--",
            "***",
            ";",
            "&",
            ",",
            "\n",
            "$$",
            "$",
        ),
        *(
            "password",
            "pw",
            "PGPASSWORD=",
            "--password ",
            "-p",
            "-u ",
            "mysql ",
            "sqlplus ",
            "cookie=",
            "/*",
            "*/",
            "}",
        ),
        *("Authorization: ", "role a password ", "identified by ", "bearer ", "token", "sig=", "hunter2", "sk-", "no-"),
    )
)


@settings(max_examples=3000, deadline=None)
@given(st.lists(PIECES, max_size=24).map("".join))
def test_twice_is_once_whatever_meets(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once
    redact_sql(text)
    redact_argv(text.split(" "))


@settings(max_examples=1000, deadline=None)
@given(st.text(alphabet="ab1 \t'\"\\&,;=@:/-$#%", max_size=12))
def test_any_password_that_libpq_takes_is_hidden(before: str) -> None:
    """In libpq's own quoting, in that of a shell, and as words of a list."""
    secret = f"{before}{S}"
    escaped = secret.replace("\\", "\\\\").replace("'", "\\'")
    for text in (
        f"host=h password='{escaped}' user=bob",
        f"PGPASSWORD={shlex.quote(secret)} psql -h db",
        f"x --password={shlex.quote(secret)} y",
    ):
        assert S not in redact_text(text)
    for argv in (["x", f"--password={secret}"], ["env", f"PGPASSWORD={secret}", "x"], ["curl", "-u", f"bob:{secret}"]):
        assert S not in " ".join(redact_argv(argv))


@settings(max_examples=1000, deadline=None)
@given(st.text(alphabet="ab'\\\n-/*$ ,", max_size=30), st.booleans())
def test_a_literal_is_hidden_whatever_the_session_says_of_backslashes(before: str, standard: bool) -> None:
    quoted = before.replace("'", "''")
    literal = quoted if standard else quoted.replace("\\", "\\\\")
    assert S not in redact_sql(f"select '{literal} {S}' , '{literal}', '{S}'")


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "pass",
            "pw",
            "pw=",
            "password=",
            "password=a'",
            "password='",
            "--password ",
            "--pass-",
            "-p",
            " -p",
            " -pabcdef",
        ),
        *(
            "sig=",
            "://",
            "://x:",
            "://x:y ",
            "://x:@",
            "a@",
            "mysql ",
            "mysql -p",
            "mysql -a ",
            "sqlplus ",
            "sqlplus a/",
        ),
        *("user ", "-u", "-ua:", "role a password ", "user a ", "identified by ", "Authorization:", "Authorization: '"),
        *(
            "cookie ",
            "x-auth",
            "x-",
            "'",
            '"',
            "\\",
            "\\'",
            "/*",
            "*/",
            "/* */",
            "'\\'",
            "$a$",
            "$$",
            "$a",
            "--\n",
            "e'",
        ),
        *("eyJ", "eyJ-", "sk-", "bearer ", "-----BEGIN ", "1" * 8, "password: str ", "password \\", "token", "ldapx "),
        *("sshpass -", "password" + " " * 90, "password='a\\' "),
    ],
)
def test_ten_kilobytes_are_read_in_time_linear_in_them(piece: str) -> None:
    """A pattern that tries each place to the end would take minutes here, and the suite with it."""
    text = piece * (10_000 // len(piece))
    redact_text(text)
    redact_sql(text)
    redact_argv([text, text])
