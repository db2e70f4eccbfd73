"""Each refusal is told apart in every language that the server speaks, by real servers that speak it."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import psycopg
import pytest

from pgusher.collect.postgres import Target
from pgusher.collect.postgres.probe import ask
from pgusher.demo.binaries import binaries
from pgusher.demo.server import EmbeddedServer
from pgusher.model.server import Ceiling, Rung
from tests.bed.bed import APP, Bed, prepare
from tests.bed.requirements import why_missing
from tests.collect.postgres.common import look

MAJOR = 15
"""Debian's, the only one here whose messages are translated."""
LANGUAGES = {
    "de": "de_DE.UTF-8",
    "es": "es_ES.UTF-8",
    "fr": "fr_FR.UTF-8",
    "it": "it_IT.UTF-8",
    "ja": "ja_JP.UTF-8",
    "ka": "ka_GE.UTF-8",
    "ko": "ko_KR.UTF-8",
    "ru": "ru_RU.UTF-8",
    "sv": "sv_SE.UTF-8",
    "uk": "uk_UA.UTF-8",
    "zh_CN": "zh_CN.UTF-8",
}
# What the server says before it knows an encoding comes in that of the locale.
ENCODINGS = {"ru": "ru_RU.KOI8-R", "ja": "ja_JP.EUC-JP"}


@pytest.fixture(scope="module")
def locales() -> Iterator[str]:
    """A directory with locales made for the tests: a server speaks a language only if the host has its locale."""
    if not glob.glob(f"/usr/share/locale/*/LC_MESSAGES/postgres-{MAJOR}.mo"):
        pytest.skip(f"no translations of PostgreSQL {MAJOR} on this machine (apt install postgresql-{MAJOR})")
    program = shutil.which("localedef")
    if program is None or not os.path.isdir("/usr/share/i18n/locales"):
        pytest.skip("locales cannot be made on this machine (apt install locales)")
    # Not below pytest's own directory: the server is another user.
    with tempfile.TemporaryDirectory(prefix="pgusher-locales-") as directory:
        os.chmod(directory, 0o755)  # noqa: S103  # its words are read by the server, another user
        for name in (*LANGUAGES.values(), *ENCODINGS.values()):
            language, charset = name.split(".")
            made = os.path.join(directory, name)
            words = [program, "--no-archive", "-i", language, "-f", charset, made]
            # It warns of what concerns nobody here, and says so by its exit code.
            said = subprocess.run(words, check=False, capture_output=True, text=True, umask=0o022)
            assert os.path.exists(os.path.join(made, "LC_MESSAGES")), said.stderr
        yield directory


@pytest.fixture(scope="module")
def bed(locales: str) -> Iterator[Bed]:
    if MAJOR not in binaries():
        pytest.skip(why_missing(MAJOR))
    env = {"LOCPATH": locales}
    with EmbeddedServer(MAJOR, env=env, max_connections=7, superuser_reserved_connections=2) as server:
        prepare(server)
        made = Bed(server)
        yield made
        made.close()


def speak(bed: Bed, locale: str) -> None:
    """Each new process has the language that the postmaster has by then."""
    bed.admin.execute(f"alter system set lc_messages = '{locale}'".encode())
    bed.admin.execute("select pg_catalog.pg_reload_conf()")
    for _ in range(1000):
        with psycopg.connect(bed.server.dsn()) as connection:
            if connection.execute("show lc_messages").fetchone() == (locale,):
                return
    pytest.fail(f"the server does not speak {locale}")


@pytest.mark.parametrize("locale", [*LANGUAGES.values(), *ENCODINGS.values()])
def test_every_refusal_in_every_language(bed: Bed, locale: str) -> None:
    speak(bed, locale)
    target = Target(conninfo=bed.dsn(), allow_reserved=False)
    words = {}
    with bed.role_limit(APP, 0):
        words[Ceiling.ROLE] = look(target).view
    with bed.database_limit("app", 0):
        words[Ceiling.DATABASE] = look(target).view
    ordinary = bed.fill(APP)
    words[Ceiling.RESERVED] = look(target).view
    superuser = bed.fill("postgres", "postgres")
    words[Ceiling.ALL] = look(target).view
    path = os.path.join(bed.server.socket_dir, f".s.PGSQL.{bed.server.port}")
    assert ask(path, APP, "app", 30.0, lambda: 0.0).full
    for holder in (ordinary, superuser):
        holder.stop()
    for ceiling, view in words.items():
        (attempt,) = view.attempts
        assert (attempt.sqlstate, attempt.refused_by, attempt.ceiling) == ("53300", "postgres", ceiling)
        assert view.rung is Rung.TITLES
        assert view.refuses_all == (ceiling is Ceiling.ALL)
    # It really is another language; the catalogues are not complete, but have this one.
    assert words[Ceiling.ALL].attempts[0].outcome != "sorry, too many clients already"
    assert len({view.attempts[0].outcome for view in words.values()}) == 4
    _wait_for_room(bed)


def _wait_for_room(bed: Bed) -> None:
    for _ in range(10_000):
        if not bed.sessions():
            return
    pytest.fail("the sessions of the holders did not end")
