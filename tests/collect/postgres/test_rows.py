"""What the server sends becomes sessions and ceilings; what is torn is counted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.postgres import rows
from pgusher.model.address import UNIX, UNKNOWN, ClientAddress, Transport
from pgusher.model.session import SeenBy

SECRET = "s3cr3tW0rd"


def copy(values: list[str | None]) -> bytes:
    """As COPY writes a line (source: CopyAttributeOutText in copyto.c)."""
    escapes = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    text = "\t".join("\\N" if v is None else "".join(escapes.get(c, c) for c in v) for v in values)
    return text.encode("utf-8", "surrogatepass")


def row(**more: str | None) -> bytes:
    values: dict[str, str | None] = {
        "pid": "4711",
        "start": "1795360691368845",
        "kind": "client backend",
        "user": "app",
        "database": "orders",
        "application": "web",
        "host": "10.0.0.7",
        "port": "5433",
        "state": "idle",
        "change": "1795360691368846",
        "query_start": None,
        "xact_start": None,
        "wait_type": "Client",
        "wait": "ClientRead",
        "blocked": None,
        "query": "",
    }
    return copy(list({**values, **more}.values()))


def test_a_session() -> None:
    (session,) = rows.SessionReader().read([row()], 1, frozenset())
    assert (session.pid, session.backend_start, session.state_change) == (4711, 1795360691368845, 1795360691368846)
    assert (session.user, session.database, session.application_name) == ("app", "orders", "web")
    assert session.client == ClientAddress(Transport.TCP, "10.0.0.7", 5433)
    assert (session.state, session.query, session.query_start) == ("idle", None, None)
    assert (session.superuser, session.own, session.seen_by) == (False, False, SeenBy.ACTIVITY)


@pytest.mark.parametrize(
    ("host", "port", "client"),
    [
        (None, "-1", UNIX),
        (None, None, UNKNOWN),
        ("::1", "5433", ClientAddress(Transport.TCP, "::1", 5433)),
        ("::ffff:10.0.0.7", "5433", ClientAddress(Transport.TCP, "10.0.0.7", 5433)),
    ],
)
def test_an_address(host: str | None, port: str | None, client: ClientAddress) -> None:
    (session,) = rows.SessionReader().read([row(host=host, port=port)], 1, frozenset())
    assert session.client == client


def test_another_role_s_session_is_hidden_and_counted() -> None:
    nothing = dict.fromkeys(("start", "kind", "host", "port", "state", "change", "wait_type", "wait"))
    hidden = row(**nothing, query="<insufficient privilege>")
    physical = row(**nothing, query="<insufficient privilege>", database=None)
    reader = rows.SessionReader()
    session, sender = reader.read([hidden, physical], 1, frozenset({"app"}))
    assert (session.backend_start, session.state, session.query, session.client) == (None, None, None, UNKNOWN)
    assert (session.backend_type, sender.backend_type) == ("client backend", "walsender")
    assert session.superuser is True
    assert reader.hidden == 2


def test_a_login_that_is_not_finished_has_the_same_state_in_every_version() -> None:
    (session,) = rows.SessionReader().read([row(state="starting", user=None, xact_start="1")], 1, frozenset())
    assert (session.state, session.user, session.superuser, session.xact_start) == ("authenticating", None, None, None)


def test_hostile_names_come_through_whole() -> None:
    hostile = "a\tb\nc\\N\\d\x1b[31m é \\"
    (session,) = rows.SessionReader().read([row(user=hostile, application=hostile)], 1, frozenset({hostile}))
    assert (session.user, session.application_name, session.superuser) == (hostile, hostile, True)


def test_bytes_of_another_encoding_come_through() -> None:
    (session,) = rows.SessionReader().read([row(application="@").replace(b"@", b"caf\xe9")], 1, frozenset())
    assert session.application_name == "caf\\xe9"


def test_secrets_are_hidden() -> None:
    query = f"select * from t where password = '{SECRET}' -- token={SECRET}"
    (session,) = rows.SessionReader().read([row(query=query, application=f"x password={SECRET}")], 1, frozenset())
    assert SECRET not in repr(session)
    assert session.query is not None
    assert session.query.startswith("select * from t")


def test_blockers_and_our_own_session() -> None:
    (session,) = rows.SessionReader().read([row(blocked="1 22 333", wait_type="Lock")], 4711, frozenset())
    assert (session.blocked_by, session.own) == ((1, 22, 333), True)


def test_an_unchanged_session_is_the_same_object_and_a_changed_one_is_not() -> None:
    reader = rows.SessionReader()
    (first,) = reader.read([row()], 1, frozenset())
    (again,) = reader.read([row()], 1, frozenset())
    assert first is again
    (changed,) = reader.read([row(state="active")], 1, frozenset())
    assert changed.state == "active"
    # Who is a superuser, and which session is our own, is not in the line.
    (promoted,) = reader.read([row(state="active")], 1, frozenset({"app"}))
    assert promoted.superuser is True


@pytest.mark.parametrize(
    "line", [b"", b"x", b"\t" * 15, row(pid="x"), row(start="1.5"), row()[:-3][:20], row() + b"\t"]
)
def test_a_torn_line_is_counted(line: bytes) -> None:
    reader = rows.SessionReader()
    assert [s.pid for s in reader.read([line, row()], 1, frozenset())] == [4711]
    assert reader.torn == 1


VALUES = st.sampled_from(
    [None, "", "1", "-1", "x", "\t", "\\", "starting", "<insufficient privilege>", "9" * 30, "é\ud800"]
)


@settings(max_examples=2000)
@given(st.lists(st.one_of(st.binary(), st.lists(VALUES, min_size=15, max_size=17).map(copy)), max_size=4))
def test_no_line_raises(lines: list[bytes]) -> None:
    reader = rows.SessionReader()
    sessions = reader.read(lines, 1, frozenset())
    assert len(sessions) + reader.torn <= len(lines)
    rows.superusers_of(lines)
    rows.read_settings(lines)
    rows.pids_of(lines)


@settings(max_examples=500)
@given(st.lists(st.one_of(st.none(), st.text().map(lambda t: t.replace("\0", "")))))
def test_fields_are_what_copy_wrote(values: list[str | None]) -> None:
    expected = [
        v if v is None else v.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace") for v in values
    ]
    if all(v is None or "\\x" not in v for v in expected):
        assert rows.fields(copy(values)) == (expected or [""])


SELF = [
    *("99", "monitor", "t", "f", "f", "1795360691368845", "18.6 (Debian 18.6-1)", "180006", "5432", "main"),
    *("100", "3", "2", "on", "3s", "", "on"),
]


def test_the_row_about_ourselves() -> None:
    own = rows.parse_self([copy(list(SELF))])
    assert (own.pid, own.role, own.sees_all, own.in_recovery) == (99, "monitor", True, False)
    assert (own.version, own.version_num, own.reserved, own.guarded) == ("18.6", 180006, 2, True)
    # A pooler that drops settings at login.
    assert not rows.parse_self([copy([*SELF[:-2], '"$user", public', "on"])]).guarded
    # Before 16 there is no reserved_connections.
    assert rows.parse_self([copy([*SELF[:12], None, *SELF[13:]])]).reserved == 0


@pytest.mark.parametrize("lines", [[], [b""], [b"x\ty"], [copy(list(SELF))] * 2, [copy(["x"] * 17)]])
def test_another_answer_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"."):
        rows.parse_self(lines)


def test_limits_with_what_is_used() -> None:
    own = rows.parse_self([copy(list(SELF))])
    reader = rows.SessionReader()
    lines = [row(), row(pid="2"), row(pid="3", kind="walsender"), row(pid="4", user="other")]
    sessions = reader.read(lines, 1, frozenset())
    roles = [copy(["postgres", "t", "-1"]), copy(["app", "f", "7"]), copy(["no_one", "f", "0"]), b"torn"]
    ceilings = rows.read_ceilings(own, roles, [copy(["orders", "9"])], sessions)
    assert [(limit.name, limit.limit, limit.used) for limit in ceilings.roles] == [("app", 7, 2), ("no_one", 0, 0)]
    assert [(limit.name, limit.limit, limit.used) for limit in ceilings.databases] == [("orders", 9, 3)]
    assert (ceilings.ordinary, ceilings.max_connections) == (95, 100)
    assert rows.superusers_of(roles) == {"postgres"}


def test_processes_of_the_server_s_own_are_no_sessions_but_known() -> None:
    lines = [row(pid="1", kind="checkpointer", user=None), row(pid="2", kind=None, user=None), row(pid="3")]
    reader = rows.SessionReader()
    assert [session.pid for session in reader.read(lines, 9, frozenset())] == [3]
    assert reader.pids == {1, 2, 3}
    assert rows.pids_of([b"1", b"x", b"22", b""]) == {1, 22}
    unseen = rows.unseen_session(7)
    assert (unseen.state, unseen.seen_by, unseen.takes_slot) == ("authenticating", SeenBy.LOCKS, True)
