"""What pgusher can see here, what it cannot, and what would open it: one look, and the gaps it left."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pgusher.app.look import Look, Looker
from pgusher.app.request import Request
from pgusher.errors import UnreachableError
from pgusher.model.evidence import Gap
from pgusher.model.facts import Facts
from pgusher.model.holder import ChainEnd
from pgusher.model.server import Rung
from pgusher.model.session import UNSTARTED
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass

if TYPE_CHECKING:
    from pgusher.collect.stacks.sight import Sight

SEES, PARTLY, BLIND = "sees", "partly", "blind"

_RUNGS = {
    Rung.HELD: "a connection held from before",
    Rung.ORDINARY: "an ordinary slot",
    Rung.RESERVED: "a reserved slot",
}
_SOURCES = ("sockets", "processes", "cron", "systemd", "containers")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that pgusher looked at."""

    name: str
    """ "client sockets of port 5432"."""
    sight: str
    """sees, partly or blind."""
    fact: str
    """What was found, with its figure."""
    why: str = ""
    """Why not all of it is seen; "" when it is."""
    opens: str = ""
    """The exact command or setting that opens it; "" when there is none."""


def examine(request: Request) -> tuple[Check, ...]:
    """Looks once, and tells of each source how far it saw.

    A server that cannot be reached is a check that failed, not an error: the rest is told all the same.
    """
    looker = Looker(request)
    try:
        look = looker.look()
    except UnreachableError as error:
        server = Check("server", BLIND, error.message, error.detail or "", error.hint or "")
        return (_libpq(), server, _identity())
    finally:
        looker.close()
    return (_libpq(), _identity(), *checks(look), *_stacks(look))


def checks(look: Look) -> tuple[Check, ...]:
    """What a look says of its own sight; pure, so that a saved snapshot can be examined too."""
    found: list[Check] = []
    several = len(look.snapshots) > 1
    for snapshot in look.snapshots:
        where = f" of {snapshot.facts.server.label}" if several else ""
        found += [_server(snapshot.facts, where), _sessions(snapshot.facts, where), _ceilings(snapshot.facts, where)]
        found.append(_chains(snapshot, where))
        if snapshot.facts.server.local:
            found += [_source(name, snapshot.facts, where) for name in _SOURCES]
    found += [Check(gap.source, PARTLY, gap.what, gap.why, gap.opens) for gap in look.gaps]
    return tuple(found)


def _libpq() -> Check:
    from pgusher.collect.postgres.libpq import LibpqMissingError, load

    try:
        library = load()
    except LibpqMissingError as error:
        opens = "pip install 'pgusher[binary]', or apt install libpq5"
        return Check("libpq", BLIND, "no SQL can be asked", str(error), opens)
    version = library.PQlibVersion()
    return Check("libpq", SEES, f"version {version // 10000}.{version % 10000}")


def _identity() -> Check:
    if os.geteuid() == 0:
        return Check("identity", SEES, "root: may look into every process")
    return Check(
        "identity",
        PARTLY,
        f"uid {os.geteuid()}: may look into its own processes",
        "the open files of other users' processes may not be read",
        "sudo pgusher, or give it CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
    )


def _stacks(look: Look) -> tuple[Check, ...]:
    """Whether `pgusher why` sees threads and lines of the processes that hold slots here."""
    from pgusher.collect.stacks.sight import sight
    from pgusher.collect.stacks.spy import find_spy

    here = [snapshot for snapshot in look.snapshots if snapshot.facts.server.local]
    if not here:
        return ()
    pids = {pid for snapshot in here for holder in snapshot.holders for pid in holder.processes}
    own = {snapshot.facts.host.pid for snapshot in here}
    hidden = sum(chain.end in (ChainEnd.HIDDEN, ChainEnd.UNKNOWN) for snapshot in here for chain in snapshot.chains)
    return (stacks_check(sight(sorted(pids - own)), find_spy(), hidden),)


def stacks_check(seen: Sight, spy: str | None, hidden: int = 0) -> Check:
    """What a look at the processes' threads would show.

    `spy` is where py-spy is; `hidden` counts the sessions of which no process can be seen at all.
    """
    readable = seen.processes - len(seen.gaps)
    fact = f"the threads of {readable} of {seen.processes} processes that hold slots may be read"
    if seen.python:
        fact += f", {seen.python} of them Python's, with their lines" if spy else f", {seen.python} of them Python's"
    why = [f"{gap.why}" for gap in seen.gaps[:1]]
    opens = [gap.opens for gap in seen.gaps[:1]]
    if hidden:
        why.append(f"of {hidden} sessions no process can be seen")
        opens.append("sudo pgusher")
    if spy is None:
        why.append("py-spy is not installed, so the lines of Python are not seen")
        opens.append("pip install 'pgusher[why]'")
    if not why:
        return Check("stacks", SEES, f"{fact}, by {spy}")
    sight = BLIND if not readable and (hidden or seen.processes) else PARTLY
    return Check("stacks", sight, fact, "; ".join(why), "; ".join(dict.fromkeys(opens)))


def _server(facts: Facts, where: str) -> Check:
    view = facts.view
    name = f"server{where}" if where else f"server on {facts.server.label}"
    tried = "; ".join(
        f"{attempt.target}: {attempt.outcome}" for attempt in view.attempts if attempt.sqlstate is not None
    )
    if view.rung is Rung.TITLES:
        why = tried or "; ".join(f"{a.target}: {a.outcome}" for a in view.attempts) or "SQL was not to be used"
        opens = (
            ""
            if view.refuses_all
            else "pgusher -U ROLE, where ROLE may connect; as root the server's own superuser is tried"
        )
        return Check(name, PARTLY, "seen by its process titles alone, without SQL", why, opens)
    if view.rung is Rung.NONE:
        outcomes = "; ".join(f"{attempt.target}: {attempt.outcome}" for attempt in view.attempts)
        return Check(
            name, BLIND, "nothing could be seen", outcomes, "pgusher --dsn postgresql://ROLE@HOST:PORT/DATABASE"
        )
    version = f"PostgreSQL {facts.server.version} " if facts.server.version else ""
    return Check(name, SEES, f"{version}seen as {view.role} through {_RUNGS[view.rung]}")


def _sessions(facts: Facts, where: str) -> Check:
    name = f"sessions{where}"
    gaps = [gap for gap in facts.gaps if gap.source == "postgres"]
    slots = sum(session.takes_slot for session in facts.sessions)
    fact = f"{slots} {'slot' if slots == 1 else 'slots'} taken"
    if waiting := sum(session.backend_type == UNSTARTED for session in facts.sessions):
        fact += f", {waiting} {'connection has' if waiting == 1 else 'connections have'} not started a session"
    if not gaps:
        return Check(name, SEES, fact)
    return _with(name, PARTLY, fact, gaps)


def _ceilings(facts: Facts, where: str) -> Check:
    name = f"ceilings{where}"
    if facts.ceilings is None:
        return Check(
            name,
            BLIND,
            "how many slots there are is not known",
            "neither SQL nor the server's files tell",
            "sudo pgusher",
        )
    said = f"{facts.ceilings.max_connections} slots, {facts.ceilings.ordinary} of them for ordinary roles"
    return Check(name, SEES, f"{said}, by {facts.ceilings.source}")


def _chains(snapshot: Snapshot, where: str) -> Check:
    """How many of the taken slots lead to a holder: the one figure that matters."""
    name = f"holders{where}"
    pairs = list(zip(snapshot.chains, snapshot.facts.sessions, strict=True))
    ends = [chain.end for chain, s in pairs if s.takes_slot or s.backend_type == UNSTARTED]
    what = "slots and connections without a session" if snapshot.unstarted else "slots"
    known = sum(end in {ChainEnd.HOLDER, ChainEnd.OWN} for end in ends)
    counted = [
        (ChainEnd.REMOTE, "on another host", "run pgusher on that host"),
        (ChainEnd.HIDDEN, "held by processes that may not be read", "sudo pgusher"),
        (ChainEnd.GONE, "whose client is gone", ""),
        (ChainEnd.UNKNOWN, "not known", "sudo pgusher"),
    ]
    missing = [(f"{ends.count(end)} {words}", opens) for end, words, opens in counted if end in ends]
    fact = f"{known} of {len(ends)} {what} lead to a holder on this host"
    if not missing:
        return Check(name, SEES, fact)
    opens = [text for _, text in missing if text and not (text == "sudo pgusher" and os.geteuid() == 0)]
    sight = PARTLY if known > sum(end is ChainEnd.OWN for end in ends) else BLIND
    return Check(name, sight, fact, ", ".join(words for words, _ in missing), "; ".join(dict.fromkeys(opens)))


def _source(source: str, facts: Facts, where: str) -> Check:
    counted = {
        "sockets": (len(facts.sockets), "client sockets"),
        "processes": (len(facts.processes), "processes, ancestors included"),
        "cron": (len(facts.cron), "cron jobs"),
        "systemd": (len({unit.name for unit in facts.units}), "units that hold slots or lead to what does"),
        "containers": (len({container.id for container in facts.containers}), "containers that hold slots"),
    }
    count, words = counted[source]
    gaps = [gap for gap in facts.gaps if gap.source == source]
    fact = f"{count} {words}"
    name = f"{source}{where}"
    if not gaps:
        return Check(name, SEES, fact)
    return _with(name, PARTLY if count else BLIND, fact, gaps)


def _with(name: str, sight: str, fact: str, gaps: Iterable[Gap]) -> Check:
    gaps = list(gaps)
    why = "; ".join(f"{gap.what}: {gap.why}" for gap in gaps)
    opens = "; ".join(dict.fromkeys(gap.opens for gap in gaps if gap.opens))
    return Check(name, sight, fact, why, opens)
