"""Planted secrets never come out; what is no secret stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.model.redact import HIDDEN, redact_argv, redact_sql, redact_text

S = "s3cr3tW0rd"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://bob:{S}@db:5432/x",
        f"postgresql://bob:a@b/{S}:x@db:5432/x",
        f"postgres://bob:{S}@[::1]:5432/x?sslmode=require",
        f"postgresql://db/x?user=bob&password={S}&a=1",
        f"host=db password={S} user=bob",
        f"host=db password='{S} with space' user=bob",
        f"host=db password = '{S}\\' more' user=bob",
        f"PGPASSWORD={S} psql",
        f"env DB_PASSWORD={S} X=1 python x.py",
        f"psql --password {S} -h db",
        f"x --db-password={S}",
        f"x --api-key {S}",
        f"x --client_secret={S}",
        f"curl -H 'Authorization: Bearer {S}'",
        f'{{"password": "{S}", "user": "bob"}}',
        f"{{'token': '{S}'}}",
        f"password: {S}",
        f"passwd => '{S}'",
        "glsa_" + S * 2,
        "ghp_" + S * 3,
        f"eyJhbGciOi.{S}{S}.{S}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{S}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{S}",
        f"sh -c 'PGPASSWORD=\"{S} x\" psql --dbname postgresql://u:{S}@h/d'",
    ],
)
def test_secret_is_hidden_in_text(text: str) -> None:
    assert S not in redact_text(text)
    assert HIDDEN in redact_text(text)
    assert redact_text(redact_text(text)) == redact_text(text)


@pytest.mark.parametrize(
    "argv",
    [
        ["psql", "--password", S],
        ["x", "--db-password", S, "run"],
        ["x", "--token", S],
        ["curl", "-u", f"bob:{S}", "http://db"],
        ["sh", "-c", f"PGPASSWORD={S} psql -c 'select 1'"],
        ["psql", f"postgresql://bob:{S}@db/x"],
        ["psql", f"host=db password={S}"],
    ],
)
def test_secret_is_hidden_in_a_command_line(argv: list[str]) -> None:
    assert S not in " ".join(redact_argv(argv))


@pytest.mark.parametrize(
    "query",
    [
        f"alter role bob password '{S}'",
        f"select * from t where a = '{S}",
        f"select * from t where a = '{S}'' and more' and b = 1",
        f"select E'{S}\\' {S}'",
        f"select $${S}$$",
        f"select $x${S} $y$ {S} $x$, 1",
        f"select $x${S}",
        f"select 1 -- password={S}",
        f"/* token: {S} */ select 1",
        "select 4111111111111111",
        f"select U&'{S}'",
        f"copy t from program 'curl -u bob:{S}'",
    ],
)
def test_secret_is_hidden_in_sql(query: str) -> None:
    assert S not in redact_sql(query)
    assert "4111111111111111" not in redact_sql(query)


@pytest.mark.parametrize(
    "text",
    [
        "python version_history.py",
        "gunicorn: worker [orders]",
        "psql -h db -U bob --no-password x",
        "http://db:5432/x",
        "could not connect to server: Connection refused",
        'select a, "b" from t where c = $1 and d = 42 -- don\'t',
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text
    assert redact_argv(text.split(" ")) == tuple(text.split(" "))


def test_sql_without_literals_stays() -> None:
    query = "select a, \"it's\" from t where c = $1 and d = 42 -- don't\n and e = $2 /* isn't */ limit 3"
    assert redact_sql(query) == query


@settings(max_examples=1000)
@given(st.text(max_size=300))
def test_no_text_raises_and_twice_is_once(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once
    redact_sql(text)
    redact_argv(text.split(" "))


@settings(max_examples=500)
@given(st.text(alphabet="ab'\"$\\-/* \n1", max_size=80), st.integers(0, 200))
def test_a_literal_cut_anywhere_hides_the_secret(before: str, cut: int) -> None:
    # The statement begins outside of any quote, as every statement does.
    query = f"select '{before.replace(chr(39), chr(39) * 2)}{S}' from t where x = $a$ {S} $a$"
    assert S not in redact_sql(query[:cut])


def test_ten_kilobytes_of_quotes_take_no_time() -> None:
    for piece in ("'", '"', "$", "$a$", "--", "/*", "password=", "://x:", "--password ", "pass"):
        redact_sql(piece * 10_000)
        redact_text(piece * 10_000)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("select 1", "select 1"),
        ("select 123456789", "select ***"),
        ("select 12345678", "select 12345678"),
        ("select $$x$$", "select '***'"),
        ("select 'x", "select '***'"),
        ("update t set password = abc -- x", "update t set password = *** -- x"),
    ],
)
def test_a_statement_without_a_literal_is_as_it_was(query: str, shown: str) -> None:
    assert redact_sql(query) == shown


@pytest.mark.parametrize(
    "text",
    [
        f"mysql -u bob -p{S} -h db",
        f"/usr/bin/mysqldump --opt -p{S} shop",
        f"sudo mariadb -p{S}",
        f"sshpass -p {S} ssh bob@db",
        f"sshpass -p{S} ssh bob@db",
        f"redis-cli -h cache -a {S} ping",
        f"mongosh -u bob -p {S} --quiet",
        f"ldapsearch -x -w {S} -b dc=x",
    ],
)
def test_passwords_behind_flags_of_one_letter(text: str) -> None:
    """In one word with the flag or behind it, as words of a list and inside the text of a shell."""
    assert S not in " ".join(redact_argv(text.split(" ")))
    assert S not in redact_text(text)
    assert S not in " ".join(redact_argv(["sh", "-c", f"cd /srv && {text} | gzip"]))
    assert "gzip" in redact_text(f"{text} | gzip")


@pytest.mark.parametrize(
    "text", ["mysql -p shop", "ssh -p 2222 bob@db", "psql -p 5432 -w", "mkdir -p /srv/mysql", "ps -p 17", "mongod -p"]
)
def test_the_same_letters_of_other_programs_stay(text: str) -> None:
    assert " ".join(redact_argv(text.split(" "))) == text
    assert redact_text(text) == text
