"""Lists of hosts and ports, and what they are to be: as libpq takes them, with the address that was connected to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgusher.app.config import Config
from pgusher.app.look import Looker
from pgusher.app.request import Request
from pgusher.demo.server import EmbeddedServer
from pgusher.errors import UnreachableError, UsageError
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.cli import state
from pgusher.surfaces.cli.common import request_of
from pgusher.surfaces.cli.options import read

NOBODY = 1
"""A port on which nobody listens."""


def request(*words: str) -> Request:
    """What the command line asks for."""
    return request_of(read(state.COMMAND, words), Config())


def look(*words: str) -> Snapshot:
    looker = Looker(request("-U", "postgres", *words))
    try:
        return looker.look().snapshots[0]
    finally:
        looker.close()


@pytest.mark.parametrize(
    "words",
    [
        lambda port: ("-h", "127.0.0.1,localhost", "-p", f"{NOBODY},{port}"),
        lambda port: ("-h", "127.0.0.1,localhost", "-p", f"{NOBODY},{port}", "-d", "postgres://?connect_timeout=2"),
        lambda port: ("-h", "127.0.0.1,localhost", "-p", f"{NOBODY},{port}", "--dsn", "connect_timeout=2 port=7"),
        lambda port: ("--dsn", f"host=127.0.0.1,localhost port={NOBODY},{port}"),
        lambda port: ("--dsn", f"host=x,localhost hostaddr=127.0.0.1,127.0.0.1 port={NOBODY},{port}"),
        lambda port: ("--dsn", f"postgresql://127.0.0.1:{NOBODY},localhost:{port}/postgres"),
    ],
)
def test_the_one_that_answered_is_shown(server: EmbeddedServer, words: Callable[[int], tuple[str, ...]]) -> None:
    seen = look(*words(server.port)).facts
    assert (seen.server.host, seen.server.port, seen.server.local) == ("localhost", server.port, True)
    assert seen.view.attempts[-1].outcome == "connected"
    assert f"host=localhost port={server.port}" in seen.view.attempts[-1].target


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-h", "a,b", "-p", "1,2,3"), "could not match 3 port numbers to 2 hosts"),
        (("-p", "1,2"), "could not match 2 port numbers to 1 hosts"),
        (("--dsn", "host=a hostaddr=127.0.0.1,127.0.0.2"), "could not match 1 host names to 2 hostaddr values"),
        (("--dsn", "host=127.0.0.1 port=x"), 'invalid integer value "x" for connection option "port"'),
        (("--dsn", "host=127.0.0.1 target_session_attrs=any-thing"), "invalid target_session_attrs value"),
    ],
)
def test_what_libpq_refuses_is_a_wrong_command_line(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        look(*words)
    assert refused.value.message.startswith(said)


@pytest.mark.parametrize("text", ["0,1", "1,x", "1,2,70000", "5432, 5433"])
def test_a_list_of_no_ports_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="1 to 65535"):
        request("-h", "a,b", "-p", text)


def test_without_a_connection_one_of_several_is_not_guessed() -> None:
    with pytest.raises(UsageError, match="name one of them"):
        request("-h", "a,b", "-p", "1,2", "--no-sql")


@pytest.mark.parametrize("wanted", ["any", "read-write", "primary", "prefer-standby"])
def test_a_primary_is_what_a_primary_is_asked_for(server: EmbeddedServer, wanted: str) -> None:
    """Our own sessions can only read: libpq must not take the server for one that does."""
    seen = look("--dsn", f"host=localhost port={server.port} target_session_attrs={wanted}").facts
    assert [attempt.outcome for attempt in seen.view.attempts] == ["connected"]
    assert seen.sessions


@pytest.mark.parametrize("wanted", ["read-only", "standby"])
def test_a_primary_is_no_standby(server: EmbeddedServer, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGTARGETSESSIONATTRS", wanted)
    try:  # whoever may see its processes sees those
        outcomes = [
            attempt.outcome for attempt in look("--dsn", f"host=127.0.0.1 port={server.port}").facts.view.attempts
        ]
    except UnreachableError as error:
        outcomes = [str(error.detail)]
    assert len(outcomes) == 1
    assert "session is not read-only" in outcomes[0] or "not in hot standby" in outcomes[0]


def test_a_service_may_ask_for_one_that_can_write(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("service") / "pg_service.conf"
    path.write_text(f"[shop]\nhost=localhost\nport={server.port}\ntarget_session_attrs=read-write\n")
    monkeypatch.setenv("PGSERVICEFILE", str(path))
    seen = look("--service", "shop").facts
    assert seen.view.attempts[-1].outcome == "connected"
