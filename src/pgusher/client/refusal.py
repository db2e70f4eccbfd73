"""Why a connect failed and whether trying again can help: by SQLSTATE, by the system's error, by words last. Pure."""

from __future__ import annotations

import enum
import errno
import os
import re


class Verdict(enum.Enum):
    """What a failed connect means for those who wait."""

    FULL = "full"
    """The server, role or database has no slot left (53300): there may be one any moment."""
    STARTING = "starting"
    """The server starts, stops or recovers (57P03): it will be there soon."""
    UNREACHABLE = "unreachable"
    """Nobody answered, or the connection broke: a server that is restarted looks like that."""
    WRONG = "wrong"
    """A wrong password, database, option ...: trying again gives the same answer."""

    @property
    def passing(self) -> bool:
        """Whether trying again can help."""
        return self is not Verdict.WRONG


STATES = {"53300": Verdict.FULL, "57P03": Verdict.STARTING}
"""Source: PostgreSQL documentation, "PostgreSQL Error Codes". Each other state that came in an answer is WRONG, but:"""

BROKEN = frozenset({"57P01", "57P02", "08000", "08001", "08003", "08006"})
"""The server was stopped in the midst of a login, or the connection broke."""

# "FATAL:  53300: text": so libpq writes an error at verbosity VERBOSE; the first word is translated, the state is not
# (source: pqBuildErrorMessage3 in fe-protocol3.c). VERBOSE adds "LOCATION:  InitProcess, proc.c:357".
_STATE = re.compile(r"(?m)(?:^|[\s:])([^\s:]{1,40}):  ([0-9A-Z]{5}): ")
_LOCATION = re.compile(r"\n[^\n:]{1,40}:  (?:\w+, )?[\w./-]+\.c:\d+(?=\s|\Z)")

_NETWORK = (
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.EPIPE,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.EHOSTDOWN,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.EADDRNOTAVAIL,  # this host has no port left for the moment
    errno.EAGAIN,  # the queue of a unix socket is full
    errno.ENOENT,  # a unix socket is gone while its server is down
)
"""What the system says when a server is down, restarted, or cut off."""

_WORDS = (
    "server closed the connection unexpectedly",
    "connection timeout expired",
    "timeout expired",
    "SSL SYSCALL error: EOF detected",
    "SSL connection has been closed unexpectedly",
    "received invalid response to SSL negotiation",
    "Temporary failure in name resolution",
    "server terminated abnormally",
    # PgBouncer, whose server is away or whose own limit is reached, with no state or with 08P01 (source: its src).
    "server login failed",
    "server_login_retry",
    "query_wait_timeout",
    "pgbouncer cannot connect to server",
    "database is currently being reloaded",
)
"""libpq's and poolers' own words for the same; a wheel's libpq has them in English only."""

_POOLERS_FULL = ("no more connections allowed", "max_client_conn", "Max client connections reached")
"""PgBouncer, before 1.23 with 08P01, and Supavisor."""


def state_of(text: str) -> str | None:
    """The SQLSTATE in the text of a failed connect; of several answers (several hosts, TLS and not) the kindest."""
    found = [match[2] for match in _STATE.finditer(text)]
    return next((state for state in found if state in STATES), found[0] if found else None)


def judge(text: str, sqlstate: str | None = None) -> Verdict:
    """What a failed connect with this text means.

    `sqlstate` is the driver's own, where it has one; else the text may hold one, else its words are looked at, those of
    the server in each language of its catalogues.
    """
    state = sqlstate or state_of(text)
    if state in STATES:
        return STATES[state]
    if any(words in text for words in _POOLERS_FULL):
        return Verdict.FULL
    if state in BROKEN or any(words in text for words in _WORDS):
        return Verdict.UNREACHABLE
    if state is None:
        from pgusher.client.wordings import says_full, says_starting  # late: an answer without a state is rare

        if says_full().search(text):
            return Verdict.FULL
        if says_starting().search(text):
            return Verdict.STARTING
        if any(os.strerror(number) in text for number in _NETWORK):
            return Verdict.UNREACHABLE
    return Verdict.WRONG


def cut_off(text: str) -> bool:
    """Whether a session in use was lost to the network, not to its server: then its idle siblings are suspect too."""
    silent = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN)
    return any(os.strerror(number) in text for number in silent)


def plain(text: str) -> str:
    """The text as it is without verbosity: a person reads the words, not the state and the file that raised it."""
    return _LOCATION.sub("", _STATE.sub(lambda match: match[0].replace(f"{match[2]}: ", ""), text)).strip()
