"""Which failure of a connect is waited for, and in which language it may be told."""

from __future__ import annotations

import errno
import os

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.client import sqlstate, wordings
from pgusher.client.refusal import Verdict, cut_off, judge, plain, state_of
from pgusher.demo.keep import Keeper
from pgusher.demo.server import EmbeddedServer
from tests.bed import Bed
from tests.bed.languages import settings, translated, why_not
from tests.conftest import NewServer

VERBOSE = """connection to server at "10.0.0.1", port 5432 failed: ВАЖНО:  53300: извините, уже слишком много клиентов
МЕСТОПОЛОЖЕНИЕ:  InitProcess, proc.c:357
"""


def test_the_state_is_read_in_any_language() -> None:
    assert state_of(VERBOSE) == "53300"
    assert state_of('FATAL:  28P01: password authentication failed for user "x"') == "28P01"
    assert state_of("FATAL:  sorry, too many clients already") is None
    # With TLS refused and tried again without: what is about slots goes first.
    assert state_of("FATAL:  28000: no pg_hba.conf entry\nFATAL:  53300: sorry") == "53300"


def test_a_person_reads_it_without_state_and_file() -> None:
    assert plain(VERBOSE) == (
        'connection to server at "10.0.0.1", port 5432 failed: ВАЖНО:  извините, уже слишком много клиентов'
    )
    assert plain("Connection refused\n\tIs the server running?") == "Connection refused\n\tIs the server running?"


@pytest.mark.parametrize(
    ("text", "state", "verdict"),
    [
        ("whatever", "53300", Verdict.FULL),
        ("whatever", "57P03", Verdict.STARTING),
        ("whatever", "57P01", Verdict.UNREACHABLE),
        ("whatever", "28P01", Verdict.WRONG),
        ("whatever", "3D000", Verdict.WRONG),
        ("whatever", None, Verdict.WRONG),
        (VERBOSE, None, Verdict.FULL),
        (os.strerror(errno.ECONNREFUSED), None, Verdict.UNREACHABLE),
        (os.strerror(errno.ETIMEDOUT), None, Verdict.UNREACHABLE),
        ("server closed the connection unexpectedly", None, Verdict.UNREACHABLE),
        ("FATAL:  no more connections allowed (max_client_conn)", "08P01", Verdict.FULL),
        ("FATAL:  query_wait_timeout", "08P01", Verdict.UNREACHABLE),
        # The words do not count where the state says otherwise.
        ('database "sorry, too many clients already" does not exist', "3D000", Verdict.WRONG),
    ],
)
def test_verdicts(text: str, state: str | None, verdict: Verdict) -> None:
    assert judge(text, state) is verdict
    assert verdict.passing is (verdict is not Verdict.WRONG)


@pytest.mark.parametrize("language", sorted(wordings._FULL))
def test_the_words_of_each_catalogue_do_where_there_is_no_state(language: str) -> None:
    for words in wordings._FULL[language]:
        assert judge(f"FATAL:  {words} x") is Verdict.FULL
    for words in wordings._STARTING[language]:
        assert judge(f"FATAL:  {words}") is Verdict.STARTING


@given(st.text(), st.sampled_from([None, "53300", "28P01", "", "?"]))
def test_any_text_has_a_verdict(text: str, state: str | None) -> None:
    assert judge(text, state) in Verdict
    assert len(plain(text)) <= len(text)


def test_what_the_network_did() -> None:
    assert cut_off(f"could not receive data from server: {os.strerror(errno.ETIMEDOUT)}")
    assert not cut_off("server closed the connection unexpectedly")


def test_the_driver_here_can_be_made_to_tell_the_state() -> None:
    assert sqlstate.verbosity_setter() is not None


@pytest.mark.parametrize("kind", [psycopg.Connection, psycopg.AsyncConnection])
def test_a_class_with_its_own_way_to_connect_is_left_alone(kind: type) -> None:
    assert sqlstate.telling(kind) is not kind
    assert sqlstate.telling(kind).__name__ == kind.__name__
    own = type("Own", (kind,), {"_connect_gen": classmethod(lambda *_: None)})
    assert sqlstate.telling(own) is own


# Before it has an encoding a server writes Russian in Latin letters and Japanese in question marks: no word is left.
@pytest.mark.parametrize(
    ("locale", "by_words"),
    [("de_DE", False), ("fr_FR", False), ("ru_RU", False), ("ja_JP", False), ("de_DE", True), ("fr_FR", True)],
)
def test_a_server_that_speaks_another_language(
    new_server: NewServer, monkeypatch: pytest.MonkeyPatch, locale: str, by_words: bool
) -> None:
    if reason := why_not(locale):
        pytest.skip(reason)
    found = translated(locale.partition("_")[0])
    assert found is not None
    kind = psycopg.Connection if by_words else sqlstate.telling(psycopg.Connection)
    with Keeper(directory_in="/dev/shm") as keeper:
        server: EmbeddedServer = new_server(found, max_connections=8, **settings(locale, keeper.directory))
        bed = Bed(server)
        try:
            bed.admin.execute("alter role reports connection limit 0")
            bed.admin.execute("alter database reports connection limit 0")
            refused = [{"user": "reports", "dbname": "app"}, {"user": "app", "dbname": "reports"}]
            bed.fill()
            refused.append({"user": "app", "dbname": "app"})
            for words in refused:
                with pytest.raises(psycopg.OperationalError) as caught:
                    kind.connect(server.dsn(**words))
                assert caught.value.sqlstate == (None if by_words else "53300")
                assert judge(str(caught.value), caught.value.sqlstate) is Verdict.FULL
                assert "53300" not in str(caught.value)
            with pytest.raises(psycopg.OperationalError) as caught:
                kind.connect(server.dsn(dbname="nowhere"))
            assert judge(str(caught.value), caught.value.sqlstate) is Verdict.WRONG
        finally:
            bed.close()
