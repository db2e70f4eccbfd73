"""Secrets that came out once, in every way in which a command line, a shell or libpq lets one be written."""

from __future__ import annotations

import shlex

import pytest

from pgusher.model.redact import HIDDEN, redact_argv, redact_sql, redact_text

S = "hunter2secret"


@pytest.mark.parametrize(
    "text",
    [
        f"ALTER ROLE a PASSWORD '{S}'",
        f"alter role a password E'{S}\\' {S}' valid until 'infinity'",
        f"create user a with login password $${S} {S}$$",
        f"create user a password $x$ {S} $$ {S} $x$",
        f"ALTER ROLE a PASSWORD {S}",
        f"create user a login encrypted password {S}; select 1",
        f"create user a identified by {S}",
        f"psql -c \"ALTER ROLE a PASSWORD '{S} {S}'\"",
        f"psql -c 'ALTER ROLE a PASSWORD '\\''{S}'\\'''",
        f"sqlplus scott/{S}@db",
        f"sqlplus -s scott/{S}",
        f"/opt/oracle/bin/sqlplus -S -L scott/a@{S}@//db:1521/x @x.sql",
        f"expdp 'sys/{S}@db as sysdba' full=y",
        f"host=h password=abc&{S}",
        f"host=h password=abc;{S},{S}&x user=bob",
        f"host=h password=it\\'{S} user=bob",
        f"host=h password='a\\' {S}' user=bob",
        f"host=h password={' ' * 12}{S}",
        f"host=h password=a\\ {S}",
        f"PGPASSWORD=x\\ {S} psql",
        f"PGPASSWORD=$'a {S}' psql",
        f"PGPASSWORD='a\\' {S}' psql",
        f"PGPASSWORD=a'b {S}' psql",
        f'PGPASSWORD=a"b {S}"c{S} psql',
        f"sh -c 'PGPASSWORD=\"a {S}\" psql'",
        f'sh -c "PGPASSWORD=abc&{S} psql"',
        f"x --pw {S}",
        f"x --pw={S}",
        f"x --dbpw={S}",
        f"x --db-pw {S} run",
        f"PW={S} x",
        f"DB_PW={S} x",
        f"DB_PW_1={S} x",
        f"bindpw: {S}",
        f"anything -p{S}",
        f"anything -pHunter{S}! -h db",
        f"anything '-p{S}' x",
        f"anything -p'{S} {S}' x",
        f"postgresql://u:a'{S}@h/db",
        f'postgresql://u:a"{S}@h/db',
        f"postgresql://u:p w{S}@h/db",
        f"postgresql://u:p@ w{S}@h/db",
        f"run postgresql://u:p w{S}@h/db now",
        f"run postgresql://u@server:{S}@h/db now",
        f"run redis://:{S}@h/0",
        f"postgresql://bob:{S}",
        f"curl --user=a:{S} http://h",
        f"curl --user a:{S} http://h",
        f"curl -ua:{S} http://h",
        f"curl -u 'a:{S} {S}' http://h",
        f"curl --proxy-user=a:{S} http://h",
        f"http --auth u:{S} h",
        f"http --auth=u:{S} h",
        f"curl --oauth2-bearer {S} http://h",
        f"curl --cookie sid={S} http://h",
        f"x --password -{S}",
        f"x --pass -{S}",
        f"x --password=--{S}",
        f"Authorization: Token {S}",
        f"Authorization: {S}",
        f"authorization:Token {S}",
        f"Cookie: sid={S}",
        f"Cookie: a=b; sid={S}; c=d\nHost: h",
        f"X-Api-Key: {S}",
        f"X-Auth-User: a {S}",
        f"curl -H 'X-Api-Key: }} {S}' http://h",
        f"""curl -H 'Authorization: Token \\'"'"'{S}' http://h""",
        f"""psql 'host=h password='"'"'" {S}'"'"' user=b'""",
        f"""psql -c 'ALTER ROLE a PASSWORD '\\''" {S}'\\'' '""",
        f"curl -H 'Authorization: Token {S}' http://h",
        f'curl -H "Cookie: a=b; sid={S}" http://h',
        f"{{'Authorization': 'Token {S}', 'a': 'b'}}",
        f"AccountKey={S}==",
        f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={S}==;EndpointSuffix=x",
        f"https://h/x?sv=1&sig={S}%3D",
        f"https://h/x?sig={S}",
        f"SharedAccessSignature=sv=1&{S}",
        f"https://h/x?X-Amz-Credential={S}&X-Amz-Signature={S}",
        f'{{"password":"{S} {S}","user":"bob"}}',
        f'curl -d "{{\\"password\\": \\"a {S}\\", \\"user\\": 1}}" h',
        f"os.environ['PGPASSWORD'] = 'a {S}'",
        f"def connect(password: str = 'a {S}')",
        f"if password == 'a {S}':",
    ],
)
def test_no_text_shows_it(text: str) -> None:
    shown = redact_text(text)
    assert S not in shown
    assert HIDDEN in shown
    assert redact_text(shown) == shown
    assert S not in redact_sql(f"select 1 -- {text}\n")
    assert S not in " ".join(redact_argv(["x", text]))
    assert redact_argv(["sh", "-c", text])[2] == shown
    assert S not in " ".join(redact_argv(["sh", "-c", f"cd /srv && {text}"]))


@pytest.mark.parametrize(
    "command",
    [
        f"psql -c \"ALTER ROLE a PASSWORD '{S}'\"",
        f"psql -c 'ALTER USER a PASSWORD {S}'",
        f"sqlplus scott/{S}@db",
        f"/u01/sqlplus -s 'scott/a {S}@db' @run.sql",
        f"psql 'host=h password=abc&{S}'",
        f'psql "postgresql://u:a\'{S}@h/db"',
        f"psql 'postgresql://u:p w{S}@h/db'",
        f"env 'PGPASSWORD=a {S}' psql",
        f"docker run -e 'DB_PW=a {S}' x",
        f"x '--password=a {S}'",
        f"x '-pa {S}'",
        f"x -c '--password=a {S}'",
        f"sqlplus '--password=a {S}'",
        f"x -p{S}",
        f"mysql '-pa {S}' x",
        f"mysql '--password=a {S}' x",
        f"x --pw {S}",
        f"x --pw '{S} {S}'",
        f"x --password -{S}",
        f"x --pass '-a {S}'",
        f"curl -u 'a:b {S}' h",
        f"curl -ua:{S} h",
        f"curl '-ua:b {S}' h",
        f"curl '--user=a:b {S}' h",
        f"http --auth u:{S} h",
        f"curl --oauth2-bearer {S} h",
        f"curl -H 'Authorization: Token {S}' h",
        f"curl '--header=Cookie: sid={S}' h",
        f"azcopy cp 'https://h/x?sig={S}' .",
    ],
)
def test_no_command_line_shows_it(command: str) -> None:
    shown = redact_argv(shlex.split(command))
    assert S not in " ".join(shown)
    assert redact_argv(shown) == shown
    assert S not in redact_text(command)


@pytest.mark.parametrize(
    "query",
    [
        f"select 1 -- alter role x password '{S}'",
        f"/* pw: {S} */ select 1",
        f"/* /* nested */ ' */ select '{S}'",
        f"/* /* /* */ */ \" */ select '{S}', '{S}' /* ' */",
        f"select 'a\\' {S}' , 'x'",
        f"select 'a\\', c, '{S}'",
        f"select 'a\\', '{S}', 'b\\' {S}', 'c'",
        f"select E'a\\'', '{S}'",
        f"select E'a\\\\', '{S}'",
        f"select $a$ ' $a$, '{S}'",
        f"select a$b$, '{S} $b$ {S}'",
        f"select '{S}\\",
        f"alter role x password {S}",
    ],
)
def test_no_statement_shows_it(query: str) -> None:
    shown = redact_sql(query)
    assert S not in shown
    assert HIDDEN in shown
    assert redact_sql(shown) == shown


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("/* a /* b */ 'c' */ select 'x', d", "/* a /* b */ 'c' */ select '***', d"),
        ("/*controller='index',db='shop'*/ select 1", "/*controller='index',db='shop'*/ select 1"),
        ("select 'a\\\\', b, 'c'", "select '***', b, '***'"),
        ("select E'a\\'b', c, 'd'", "select '***', c, '***'"),
        ("select 'a\\', b, 'c'", "select '***'"),
        ("alter role bob password null", "alter role bob password null"),
        ("select pw, token, sig from t where key = $1", "select pw, token, sig from t where key = $1"),
    ],
)
def test_what_is_no_literal_of_a_statement_stays(query: str, shown: str) -> None:
    assert redact_sql(query) == shown
    assert redact_sql(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "python3 /srv/app/pass_through.py --port 5432 -p 5432 -p5432",
        "python3 keyboard.py --monkey --keyboard us spwd bypass",
        "gcc -pthread -pipe -o x x.c -pedantic",
        "find /srv -print0 -prune -path /x",
        "mkdir -p /srv/x -p/srv/longer -p./relative -p~/home",
        "docker run -p 8080:80 -p127.0.0.1:8080:80 --user 1000:1000 -u 33:33 x",
        "pytest -p no:asyncio -pno:cacheprovider tests",
        "python -u -m uvicorn app:main --host 0.0.0.0 --port 8000 --proxy-headers",
        "celery -A app worker --concurrency=4 --loglevel=info",
        "gunicorn: worker [orders] (app.wsgi:application)",
        "ssh -p 2222 bob@db psql -U bob -h db shop",
        "http://h:8080/x?a=b http://[::1]:5432/x https://h/x?signal=1",
        "http://grafana:3000 --mail ops@example.org",
        "git clone https://git@example.org/x.git",
        'password authentication failed for user "bob"',
        'user "bob" has no password assigned',
        'user "bob" has a password that cannot be used with MD5 authentication',
        'role "bob" does not exist; no password supplied',
        "sqlplus /nolog @scripts/run.sql",
        "select a from t where it's = 'x' and b <> 'y'",
        "worker: don't stop 'til you're done",
        "x --no-password --help",
        "author: bob authors=5",
        "cookbook: rice",
        "x --significant=3 --sigma 4",
        "x -path=/srv -profile=web -port=8080 -project x",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text
    assert " ".join(redact_argv(text.split(" "))) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("PGPASSWORD=abc; psql -h db", "PGPASSWORD=***; psql -h db"),
        ("sh -c 'PGPASSWORD=abc' -h db", "sh -c 'PGPASSWORD=***' -h db"),
        ("PGPASSWORD='a b' psql -c 'select 1'", "PGPASSWORD=*** psql -c 'select 1'"),
        ('{"password": "a b", "user": "bob"}', '{"password": ***, "user": "bob"}'),
        ('{"password":"a b","user":"bob"}', '{"password":***,"user":"bob"}'),
        ("connect('host=h password=abc user=bob')", "connect('host=h password=*** user=bob')"),
        ("x --password --SECRET db", "x --password *** db"),
        ("psql --password --host db", "psql --password --host db"),
        ("mysql --password | gzip", "mysql --password | gzip"),
        ("curl -H 'Authorization: Token abc' http://h", "curl -H 'Authorization: ***' http://h"),
        ("curl -u bob:abc http://h:80/x", "curl -u bob:*** http://h:80/x"),
        ("sqlplus scott/tiger@db @run.sql", "sqlplus scott/***@db @run.sql"),
        ("postgresql://u:p@h/db and a@b", "postgresql://u:***@b"),
        ("run postgresql://u:p@h/db and a@b", "run postgresql://u:***@h/db and a@b"),
        ("run http://h:80/x postgresql://u:p@h", "run http://h:80/x postgresql://u:***@h"),
        ("alter role bob password 'x' valid until $1", "alter role bob password *** valid until $1"),
    ],
)
def test_what_stands_around_a_secret_stays(text: str, shown: str) -> None:
    assert redact_text(text) == shown
