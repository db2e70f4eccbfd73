"""A process title is read from its right end; what can be read in two ways is left unknown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.postgres.titles import TitleKind, cluster_of, parse_title
from pgusher.model.address import UNIX, UNKNOWN, ClientAddress, Transport

TCP = ClientAddress(Transport.TCP, "127.0.0.1", 5433)


@pytest.mark.parametrize(
    ("title", "user", "database", "client", "state"),
    [
        ("postgres: bob orders 127.0.0.1(5433) idle", "bob", "orders", TCP, "idle"),
        ("postgres: bob orders [local] idle", "bob", "orders", UNIX, "idle"),
        ("postgres: bob orders [local] idle in transaction", "bob", "orders", UNIX, "idle in transaction"),
        (
            "postgres: bob orders [local] idle in transaction (aborted)",
            "bob",
            "orders",
            UNIX,
            "idle in transaction (aborted)",
        ),
        ("postgres: bob orders [local] SELECT", "bob", "orders", UNIX, "active"),
        ("postgres: bob orders [local] REFRESH MATERIALIZED VIEW", "bob", "orders", UNIX, "active"),
        ("postgres: bob orders [local] <FASTPATH>", "bob", "orders", UNIX, "fastpath function call"),
        ("postgres: bob orders [local] COMMIT waiting for 0/3000148", "bob", "orders", UNIX, "active"),
        ("postgres: bob orders 127.0.0.1(5433) authentication", "bob", "orders", TCP, "authenticating"),
        ("postgres: bob orders 127.0.0.1(5433) startup", "bob", "orders", TCP, "authenticating"),
        ("postgres: bob orders 127.0.0.1(5433) initializing", "bob", "orders", TCP, "authenticating"),
        ("postgres: bob orders 127.0.0.1(5433) ", "bob", "orders", TCP, None),
        (
            "postgres: bob orders 2001:db8::1(5433) idle",
            "bob",
            "orders",
            ClientAddress(Transport.TCP, "2001:db8::1", 5433),
            "idle",
        ),
        ("postgres: bob orders ::ffff:127.0.0.1(5433) idle", "bob", "orders", TCP, "idle"),
        (
            "postgres: bob orders fe80::1%eth0(5433) idle",
            "bob",
            "orders",
            ClientAddress(Transport.TCP, "fe80::1", 5433),
            "idle",
        ),
        (
            "postgres: bob orders app1.example.com(5433) idle",
            "bob",
            "orders",
            ClientAddress(Transport.TCP, "app1.example.com", 5433),
            "idle",
        ),
        ("postgres: bob orders ???(???) idle", "bob", "orders", UNKNOWN, "idle"),
        ("postgres: bob orders 127.0.0.1(99999) idle", "bob", "orders", UNKNOWN, "idle"),
    ],
)
def test_a_plain_title(
    title: str, user: str | None, database: str | None, client: ClientAddress, state: str | None
) -> None:
    parsed = parse_title(title, "")
    assert parsed is not None
    assert (parsed.kind, parsed.unclear) == (TitleKind.CLIENT, None)
    assert (parsed.user, parsed.database, parsed.client, parsed.state) == (user, database, client, state)


def test_who_waits_for_a_lock_is_told() -> None:
    waiting = parse_title("postgres: bob orders [local] UPDATE waiting", "")
    standby = parse_title("postgres: bob orders [local] COMMIT waiting for 0/3000148", "")
    assert waiting is not None
    assert standby is not None
    assert (waiting.waiting, standby.waiting) == (True, False)


@pytest.mark.parametrize(
    "title",
    [
        "postgres: checkpointer ",
        "postgres: background writer ",
        "postgres: walwriter ",
        "postgres: autovacuum launcher ",
        "postgres: autovacuum worker orders",
        "postgres: logical replication launcher ",
        "postgres: logical replication apply worker for subscription 16394 ",
        "postgres: io worker 0",
        "postgres: archiver last was 000000010000000000000003",
        "postgres: startup recovering 000000010000000000000003",
        "postgres: walreceiver streaming 0/3000148",
        "postgres: logger ",
        "postgres: stats collector ",
        "postgres: slotsync worker ",
        "postgres: dead-end client backend ",
        "postgres: pg_cron launcher ",
    ],
)
def test_a_process_of_the_server_s_own_is_no_session(title: str) -> None:
    parsed = parse_title(title, "")
    assert parsed is not None
    assert parsed.kind is TitleKind.OTHER


def test_a_parallel_worker_takes_no_slot() -> None:
    parsed = parse_title("postgres: parallel worker for PID 4711 ", "")
    assert parsed is not None
    assert parsed.kind is TitleKind.PARALLEL


@pytest.mark.parametrize(
    ("title", "user", "database"),
    [
        ("postgres: walsender rep 10.0.0.7(5433) streaming 0/3000148", "rep", None),
        ("postgres: walsender rep orders 10.0.0.7(5433) START_REPLICATION", "rep", "orders"),
        ('postgres: walsender rep [local] sending backup "nightly"', "rep", None),
    ],
)
def test_a_walsender(title: str, user: str, database: str | None) -> None:
    parsed = parse_title(title, "")
    assert parsed is not None
    assert (parsed.kind, parsed.user, parsed.database, parsed.unclear) == (TitleKind.WALSENDER, user, database, None)


@pytest.mark.parametrize(
    "title",
    [
        "/usr/lib/postgresql/15/bin/postgres\0-D\0/var/lib/postgresql/15/main",
        "",
        "postgres:",
        "postgres",
        "pgbouncer: bob orders [local] idle",
    ],
)
def test_what_is_no_title_is_none(title: str) -> None:
    assert parse_title(title, "") is None


def test_the_cluster_s_name_is_known_from_the_server_s_own_processes() -> None:
    titles = ["postgres: main: bob orders [local] idle", "postgres: main: checkpointer ", "x"]
    assert cluster_of(titles) == "main"
    assert cluster_of(["postgres: a: b: background writer "]) == "a: b"
    assert cluster_of(["postgres: bob orders [local] idle", "postgres: walwriter "]) == ""
    assert cluster_of(titles[:1]) is None


def test_the_cluster_s_name_is_no_part_of_the_user() -> None:
    title = "postgres: main: bob orders [local] idle"
    known = parse_title(title, "main")
    assert known is not None
    assert (known.user, known.database) == ("bob", "orders")
    # A role may be called "main: bob"; without the cluster's name nobody can tell.
    for cluster in (None, ""):
        parsed = parse_title(title, cluster)
        assert parsed is not None
        assert (parsed.user, parsed.database) == (None, None)
        assert parsed.unclear
        assert parsed.client == UNIX
    foreign = parse_title("postgres: other: bob orders [local] idle", "main")
    assert foreign is not None
    assert foreign.unclear


@pytest.mark.parametrize(
    "title",
    [
        # The names hold spaces, and look like other parts of a title.
        "postgres: bob smith orders 127.0.0.1(5433) idle",
        "postgres: bob [local] idle orders 127.0.0.1(5433) idle",
        "postgres: postgres prod 10.0.0.1(5432) SELECT x 127.0.0.1(5433) idle",
        "postgres: bob or ders 127.0.0.1(5433) idle",
        "postgres: bob orders  127.0.0.1(5433) idle",
        "postgres:  bob orders 127.0.0.1(5433) idle",
        # A role called "autovacuum", or a database called "[local] idle".
        "postgres: autovacuum worker 127.0.0.1(5433) idle",
        # A role called "walsender", or the walsender of a role.
        "postgres: walsender bob 127.0.0.1(5433) idle",
        "postgres: walsender bob orders 127.0.0.1(5433) authentication",
    ],
)
def test_names_that_can_be_read_in_two_ways_are_left_unknown(title: str) -> None:
    parsed = parse_title(title, "")
    assert parsed is not None
    assert (parsed.user, parsed.database) == (None, None)
    assert parsed.unclear
    # What the server alone wrote stays known.
    assert parsed.client == TCP


@pytest.mark.parametrize(
    "title",
    [
        "postgres: bob orders 127.0.0.1(5433) id",  # cut: the server had no more room for its title
        "postgres: bob orders 127.0.0.1(5433) an extension's own words",
        'postgres: walsender rep 10.0.0.7(5433) sending backup "x 127.0.0.1(1) sending backup "y"',
    ],
)
def test_a_right_end_that_is_not_known_leaves_all_unknown(title: str) -> None:
    parsed = parse_title(title, "")
    assert parsed is not None
    assert parsed.unclear
    assert (parsed.user, parsed.database, parsed.client, parsed.state) == (None, None, UNKNOWN, None)


# Text that is made of the parts of titles comes nearer to a wrong reading than random text.
PARTS = st.sampled_from(
    [
        *("postgres: ", "[local]", "127.0.0.1(5433)", "::1(1)", " ", "idle", "idle in transaction", "walsender "),
        *("SELECT", "main: ", "bob", "checkpointer ", "waiting", "streaming 0/1", "(", ")", "(9)", "\0", "\x1b[31m"),
        *("\n", "é", "\ud800", "parallel worker for PID ", 'sending backup "', '"', "???", "autovacuum worker "),
    ]
)
TITLES = st.one_of(st.text(), st.lists(PARTS, max_size=12).map("".join), st.lists(PARTS).map(" ".join))


@settings(max_examples=2000)
@given(TITLES, st.sampled_from([None, "", "main"]))
def test_no_title_raises(title: str, cluster: str | None) -> None:
    for text in (title, f"postgres: {title}", f"postgres: main: {title}"):
        parsed = parse_title(text, cluster)
        assert parsed is None or parsed.kind
        cluster_of([text])


NAMES = st.one_of(st.text(min_size=1), st.lists(PARTS, min_size=1, max_size=6).map("".join)).map(
    lambda name: name.replace("\0", "")[:63] or "x"
)
STATES = st.sampled_from(["idle", "idle in transaction", "SELECT", "authentication", "", "UPDATE waiting"])


@settings(max_examples=2000)
@given(user=NAMES, database=NAMES, host=st.sampled_from(["[local]", "10.0.0.1(5432)"]), state=STATES)
def test_no_name_makes_a_wrong_reading(user: str, database: str, host: str, state: str) -> None:
    """Whatever a client calls itself: what is told of it is true, or nothing is told."""
    parsed = parse_title(f"postgres: {user} {database} {host} {state}", "")
    assert parsed is not None
    assert parsed.user in {None, user}
    assert parsed.database in {None, database}
    if parsed.client is not UNKNOWN:
        assert str(parsed.client) == {"[local]": "unix socket"}.get(host, "10.0.0.1:5432")
    if re.fullmatch(r"\w+", user) and re.fullmatch(r"\w+", database) and user != "walsender":
        assert (parsed.user, parsed.database) == (user, database) or user in {"startup", "archiver"}


def test_a_title_of_ten_thousand_addresses_takes_no_time() -> None:
    parsed = parse_title("postgres: " + "1.1.1.1(1) " * 10_000 + "idle", "")
    assert parsed is not None
    parse_title("postgres: " + "A_" * 10_000 + " [local] " + "A" * 10_000 + "a", "")
