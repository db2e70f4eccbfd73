"""Why a server, or what stands before it, let nobody in: told by what no language changes. Pure.

Severity and text of an error are translated by the server's lc_messages. The SQLSTATE is not, nor are the file and the
routine that raised it, which libpq writes into the text of a failed connect once its verbosity is set so.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pgusher.model.redact import redact_text
from pgusher.model.server import Ceiling
from pgusher.model.text import clean

TOO_MANY = "53300"
"""too_many_connections (source: PostgreSQL documentation, "PostgreSQL Error Codes")."""

POSTGRES = "postgres"
POOLER = "a pooler"

# Not compiled until somebody is refused: that is most of what importing them would cost.
# "FATAL:  53300: text", where FATAL may be "ВАЖНО" or "致命的エラー" (source: pqBuildErrorMessage3 in fe-protocol3.c).
_STATE = r"(?:^|\s)[^\s:]{1,40}:  ([0-9A-Z]{5}): "
# "LOCATION:  InitProcess, proc.c:357"; the first word may be translated by libpq.
_LOCATION = r"\n[^\n:]{1,40}:  (?:(\w+), )?([\w./-]+\.c):\d+\s*(?=\n|\Z)"
_DETAILS = r"\n[^\n:]{1,40}:  "

_RAISED_IN = {
    ("InitProcess", "proc.c"): Ceiling.ALL,
    ("InitPostgres", "postinit.c"): Ceiling.RESERVED,
    ("InitializeSessionUserId", "miscinit.c"): Ceiling.ROLE,
    ("CheckMyDatabase", "postinit.c"): Ceiling.DATABASE,
    # More processes than twice the slots: before the backend even looks for one.
    ("ProcessStartupPacket", "postmaster.c"): Ceiling.ALL,
    ("BackendInitialize", "postmaster.c"): Ceiling.ALL,
    ("BackendInitialize", "backend_startup.c"): Ceiling.ALL,
}
"""Where each of the server's own 53300 is raised, in PostgreSQL 13 to 18 (source: the files named)."""

_POOLERS = (
    # PgBouncer, src/client.c and src/objects.c
    (r"no more connections allowed|max_client_conn|client_login_timeout", "PgBouncer"),
    (r"^unsupported startup parameter", "PgBouncer"),
    (r"(?i)^odyssey: ", "Odyssey"),  # od_frontend_error puts its name before everything
    (r"^Sorry, too many clients already", "Pgpool-II"),  # with a capital S, src/protocol/child.c
    (r"^Max client connections reached", "Supavisor"),
    (r"(?i)pg_?doorman", "PgDoorman"),
    (r"(?i)pgcat", "PgCat"),
)


class Refusal(NamedTuple):
    """What came instead of a session."""

    words: str
    """On one line, redacted, made harmless."""
    sqlstate: str | None = None
    routine: str | None = None
    file: str | None = None

    @property
    def too_many(self) -> bool:
        """Whether it is for lack of slots, whoever said so."""
        return self.sqlstate == TOO_MANY or (self.by == "PgBouncer" and "no more connections" in self.words)

    @property
    def by(self) -> str | None:
        """Who refused: "postgres", a pooler's name, "a pooler" for one that cannot be named; None when unknown.

        PostgreSQL names the routine that refused; poolers that use its very words (PgDoorman does) do not.
        """
        for shape, name in _POOLERS:
            if re.search(shape, self.words):
                return name
        if self.sqlstate is None:
            return None
        return POSTGRES if self.routine and self.file else POOLER

    @property
    def ceiling(self) -> Ceiling | None:
        """Which ceiling a 53300 of PostgreSQL itself is about; None when it does not tell, or is of another kind."""
        if self.sqlstate != TOO_MANY or self.by != POSTGRES:
            return None
        return _RAISED_IN.get((self.routine or "", self.file or ""))


def parse_error(text: str) -> Refusal:
    """What libpq says of a failed connect, at verbosity PQERRORS_VERBOSE. Never raises.

    With several hosts, or a second try without TLS, it tells of several refusals: one for lack of slots is preferred,
    since a later one may only say that the server does not let anybody in without TLS.
    """
    states = list(re.finditer(_STATE, text))
    if not states:
        return Refusal(one_line(text))
    chosen = next((m for m in states if m[1] == TOO_MANY), states[0])
    following = next((m.start() for m in states if m.start() > chosen.start()), len(text))
    said = text[chosen.end() : following]
    location = re.search(_LOCATION, said)
    details = re.search(_DETAILS, said)
    return Refusal(
        words=one_line(said[: details.start()] if details else said),
        sqlstate=chosen[1],
        routine=location[1] if location else None,
        file=location[2].rpartition("/")[2] if location else None,
    )


def one_line(text: str) -> str:
    """A server's or libpq's words for a person: one line, redacted, at most 400 characters."""
    shown = clean(redact_text(" ".join(text.split())))
    return shown if len(shown) <= 400 else shown[:399] + "…"
