"""Process titles of PostgreSQL's server processes, parsed. Pure.

A backend's title is readable by everybody, also when the server refuses everybody. Its form is

    postgres: [CLUSTER: ]USER DATABASE ADDRESS ACTIVITY

(sources: src/backend/utils/misc/ps_status.c, BackendInitialize() in postmaster.c or backend_startup.c, and the callers
of set_ps_display()). USER and DATABASE are a stranger's free text, even that of one who has not logged in yet, so the
title is read from its right end, which the server alone writes. What can be read in two ways is left unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from pgusher.model.address import UNIX, UNKNOWN, ClientAddress, Transport
from pgusher.model.pattern import pattern
from pgusher.model.values import dataclass

PREFIX = "postgres: "


class TitleKind(StrEnum):
    """What kind of process a title is of. The values are those of pg_stat_activity.backend_type, where it has one."""

    CLIENT = "client backend"
    WALSENDER = "walsender"
    PARALLEL = "parallel worker"
    OTHER = "other"
    """A process of the server's own: checkpointer, autovacuum worker, background worker ..."""


@dataclass(frozen=True, slots=True)
class Title:
    """What a title says. `user` and `database` are hostile text until rendered."""

    kind: TitleKind
    user: str | None = None
    database: str | None = None
    client: ClientAddress = UNKNOWN
    state: str | None = None
    """As in pg_stat_activity.state; "authenticating" before the login is finished; None when it is not told."""
    activity: str | None = None
    """The words of the title: "idle in transaction", "SELECT"; "" where update_process_title is off."""
    waiting: bool = False
    """For a lock of another session. A wait for a synchronous standby is in `activity` alone."""
    unclear: str | None = None
    """Why a part was left unknown: "the names hold a space"; None when all of it is plain."""


# The right end. What each set_ps_display() writes: postgres.c (idle states, command tags), postinit.c (authentication,
# startup), backend_startup.c (initializing), async.c (notify interrupt), walsender.c, basebackup.c. A command tag has
# no digits, dots or brackets (src/include/tcop/cmdtaglist.h), so no address can be inside one.
_ACTIVITY = pattern(
    r"(?P<words>|idle|idle in transaction|idle in transaction \(aborted\)|authentication|startup|initializing"
    r"|notify interrupt|<FASTPATH>|\?\?\?|[A-Z]+(?:[ _][A-Z]+)*"
    r"|streaming [0-9A-F]{1,8}/[0-9A-F]{1,8}|sending backup \".*\")"
    r"(?P<wait> waiting(?: for [0-9A-F]{1,8}/[0-9A-F]{1,8})?)?",
    re.S,
)
_ADDRESS = pattern(
    r" (?P<all>\[local\]|(?P<host>[0-9A-Za-z_.:-]{1,255})(?:%[\w.-]{1,32})?\((?P<port>\d{1,5})\)|\?\?\?(?:\(\?\?\?\))?)"
    r"(?: |\Z)"
)
_REPLICATION = pattern(r"streaming |sending backup |[A-Z]+_[A-Z_]+")
_PARALLEL = pattern(r"parallel worker for PID \d{1,10} ?")
_OWN = ("autovacuum worker", "autovacuum launcher", "background worker", "startup", "archiver", "logical replication")
_ALWAYS = ("checkpointer", "background writer", "walwriter")
"""Processes of which every server has at least one, whose titles end with nothing else."""

_STATES = {"authentication": "authenticating", "startup": "authenticating", "initializing": "authenticating"} | {
    "idle": "idle",
    "idle in transaction": "idle in transaction",
    "idle in transaction (aborted)": "idle in transaction (aborted)",
    "<FASTPATH>": "fastpath function call",
    "": None,
}


def cluster_of(titles: Iterable[str]) -> str | None:
    """The cluster_name that all titles of one server start with; "" for none.

    It is read from processes whose titles hold nothing of a client. None when there is no such title.
    """
    for title in titles:
        if not title.startswith(PREFIX):
            continue
        for name in _ALWAYS:
            rest = title[len(PREFIX) :].rstrip(" ")
            if rest == name:
                return ""
            # No title of a client ends in these words: after an address come other ones.
            if rest.endswith(f": {name}") and not _ADDRESS.search(rest):
                return rest[: -len(name) - 2]
    return None


def parse_title(title: str, cluster: str | None = None) -> Title | None:
    """What a process title says; None for one that is no PostgreSQL server process's (yet).

    `cluster` is the server's cluster_name, "" when it has none; None when that is not known: then a user whose name
    looks like one is left unknown.
    """
    if not title.startswith(PREFIX):
        return None
    rest = title[len(PREFIX) :]
    if cluster:
        if not rest.startswith(f"{cluster}: "):
            return Title(TitleKind.OTHER, unclear="it does not start with the cluster's name")
        rest = rest[len(cluster) + 2 :]
    addresses = list(_overlapping(rest))
    if not addresses:
        kind = TitleKind.PARALLEL if _PARALLEL.fullmatch(rest) else TitleKind.OTHER
        return Title(kind, activity=rest.rstrip(" "))
    readings = [(m, a) for m in addresses if (a := _ACTIVITY.fullmatch(rest, m.end()))]
    if len(readings) != 1:
        why = "its activity is not a known one" if not readings else "it can be read in two ways"
        return Title(_guess_kind(rest), unclear=why)
    (address, activity), words = readings[0], readings[0][1]["words"]
    kind, user, database, unclear = _names(rest[: address.start()], words, cluster)
    wait = activity["wait"] or ""
    return Title(
        kind=kind,
        user=user,
        database=database,
        client=_client(address),
        state=_STATES.get(words, "active"),
        activity=words,
        waiting=wait == " waiting",
        unclear=unclear,
    )


def _overlapping(rest: str) -> Iterable[re.Match[str]]:
    """All address-shaped words; two may share the space between them."""
    at = 0
    while match := _ADDRESS.search(rest, at):
        yield match
        at = match.end("all")


def _guess_kind(rest: str) -> TitleKind:
    return TitleKind.WALSENDER if rest.startswith("walsender ") else TitleKind.CLIENT


def _names(who: str, activity: str, cluster: str | None) -> tuple[TitleKind, str | None, str | None, str | None]:
    """The kind, the user, the database, and what is unclear, from what stands before the address."""
    words = who.split(" ")
    if words[0] == "walsender" and len(words) > 1:
        # A role may be called "walsender"; then this is its ordinary session on the database in the second word.
        if not _REPLICATION.match(activity):
            return TitleKind.WALSENDER, None, None, "it may be of a role named walsender"
        return TitleKind.WALSENDER, *_user_and_database(words[1:], physical=True)
    if who.startswith(_OWN):
        return TitleKind.CLIENT, None, None, "its start is that of a process of the server's own"
    if cluster is None and ": " in who:
        return TitleKind.CLIENT, None, None, "the cluster's name is not known"
    return TitleKind.CLIENT, *_user_and_database(words, physical=False)


def _user_and_database(words: list[str], *, physical: bool) -> tuple[str | None, str | None, str | None]:
    if not all(words):
        return None, None, "the names hold a space"
    if len(words) == 2:
        return words[0], words[1], None
    if len(words) == 1 and physical:
        return words[0], None, None
    return None, None, "the names hold a space"


def _client(address: re.Match[str]) -> ClientAddress:
    if address["all"] == "[local]":
        return UNIX
    host = address["host"]
    if host is None or int(address["port"]) > 0xFFFF:
        return UNKNOWN
    return ClientAddress(Transport.TCP, host.removeprefix("::ffff:"), int(address["port"]))
