"""One server while it is recorded: the sessions that are there, and what is written when that changes."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pgusher.model.address import Micros
from pgusher.model.holder import Chain, ChainEnd, LinkKind
from pgusher.model.server import Attempt, Ceilings, Rung
from pgusher.model.session import Session
from pgusher.model.snapshot import Snapshot
from pgusher.record import schema
from pgusher.record.database import Database
from pgusher.record.lives import overlapping
from pgusher.record.names import Names
from pgusher.record.states import HIDDEN, UNSEEN, Turn, Turns, code, pack

_PACKED_FROM = 128
"""So many turns of a life that lasts are packed into one row."""
_NEAR: Micros = 2_000_000
"""The start of a process, as /proc tells it, and `backend_start` lie so near to each other."""
_STEP_BACK = 10_000
"""Milliseconds that a clock may be set back without a new beginning."""
_TWICE = 7_200_000
"""Milliseconds by which a clock is set back. More is a clock that was wrong: for its sake nothing kept is given up."""
_REFUSALS = 200
"""Refusals of different words that are remembered."""
_SAME_REFUSAL = 60_000
"""Milliseconds within which the same words are one refusal that goes on."""
_BLIND = frozenset({ChainEnd.GONE, ChainEnd.HIDDEN, ChainEnd.UNKNOWN})


class _Open:
    """A session that is there."""

    __slots__ = ("chain", "chain_id", "holder", "number", "packed", "session", "since", "stored", "turns", "who")

    def __init__(self, number: int, since: int, session: Session) -> None:
        self.number = number
        self.since = since
        self.session = session
        self.turns = Turns()
        self.stored = 0
        self.packed = False
        self.who = self.holder = self.chain_id = 0
        self.chain: Chain | None = None


class Sitting:
    """Takes the snapshots of one server, in the order of their times."""

    def __init__(self, database: Database, names: Names, snapshot: Snapshot, every: int) -> None:
        """`every`: milliseconds from look to look. What a recorder before has left open is gone on with."""
        self._database = database
        self._names = names
        self._every = every
        self.number = names.server(snapshot.facts.server)
        self._open: dict[int, _Open] = {}
        self._dirty: set[_Open] = set()
        self._span: int | None = None
        self._rung = ""
        self._last = 0
        """When the server was last seen, and it counts as seen for one interval more."""
        self._samples = 0
        self._opened: int | None = None
        self._ceilings: Ceilings | None = None
        self._attempts: tuple[Attempt, ...] = ()
        self._refused: dict[tuple[object, ...], tuple[int, int]] = {}
        """By how it was refused: the row, and when it was so last."""
        self._resume()

    @property
    def last(self) -> int:
        """When the server was last seen, in milliseconds since 1970."""
        return self._last

    def take(self, snapshot: Snapshot) -> None:
        """Takes one snapshot. Raises StoreError; then nothing since the last commit counts."""
        facts = snapshot.facts
        at = facts.taken_at // 1000
        if at <= self._last:
            if self._last - at < _STEP_BACK:
                return
            if self._last - at < _TWICE:
                self._set_back(at)
            else:
                self._leave()
        self._refusals(facts.view.attempts, at)
        if facts.view.rung is Rung.NONE:
            self.blind()
            return
        self._opened = facts.server.opened
        self._go_on(facts.view.rung, facts.view.sees_all, at)
        if facts.ceilings is not None and facts.ceilings != self._ceilings:
            self._limits(facts.ceilings, at)
        self._sessions(snapshot, at)
        self._last = at
        self._samples += 1

    def blind(self) -> None:
        """The server could not be seen: what was seen before counts no longer."""
        if self._span is not None:
            self._end_span()
        for one in self._open.values():
            self._turn(one, (self._last + self._every) // 1000, UNSEEN)

    def flush(self) -> None:
        """Writes what is still in memory. Whoever calls it commits."""
        if self._span is not None:
            self._database.run(
                "update span set until = ?, samples = ?, opened_last = ? where id = ?",
                (self._last + self._every, self._samples, self._opened, self._span),
            )
        for one in self._dirty:
            self._write_turns(one)
        self._dirty.clear()

    # -- spans

    def _go_on(self, rung: Rung, sees_all: bool | None, at: int) -> None:
        """The span goes on, or ends, and another begins: after a gap, from another rung, with each hour."""
        held = rung is Rung.HELD and self._rung not in ("", Rung.TITLES)
        if self._span is not None:
            if self._is_gap(at):
                self.blind()
            elif not (held or rung.value == self._rung) or at // 3_600_000 != self._last // 3_600_000:
                self._end_span(at)
        if self._span is None:
            self._rung = self._rung if held else rung.value
            self._span = self._names.new("span")
            self._samples = 0
            whole = None if sees_all is None else int(sees_all)
            self._database.run(
                "insert into span (id, server, since, until, rung, sees_all, samples, opened_first, opened_last)"
                " values (?, ?, ?, ?, ?, ?, 0, ?, ?)",
                (self._span, self.number, at, at + self._every, self._rung, whole, self._opened, self._opened),
            )

    def _end_span(self, at: int | None = None) -> None:
        self._database.run(
            "update span set until = ?, samples = ?, opened_last = ? where id = ?",
            (at or self._last + self._every, self._samples, self._opened, self._span),
        )
        self._span = None

    def _leave(self) -> None:
        self.blind()
        for one in list(self._open.values()):
            self._end(one, self._last + self._every)
        self._last = 0

    def _set_back(self, at: int) -> None:
        """Of the time that comes twice counts what is seen the second time: else each session would be there twice."""
        self.flush()
        self._span = None
        run = self._database.run
        run("delete from span where server = ? and since >= ?", (self.number, at))
        run("update span set until = ? where server = ? and until > ?", (at, self.number, at))
        later = overlapping(self._database, self.number, at, self._last + self._every + 1, "l.id, l.since, l.until")
        for number, since, until in later:
            if since >= at:
                run("delete from life where id = ?", (number,))
            elif until is not None:
                run("update life set until = ? where id = ?", (at, number))
        self._open = {pid: one for pid, one in self._open.items() if one.since < at}
        for one in self._open.values():
            run("delete from turn where life = ? and at > ?", (one.number, at // 1000))
            run("delete from turns where life = ? and since > ?", (one.number, at // 1000))
            rows = self._stored_turns(one)
            one.turns, one.stored = Turns(rows), len(rows)
            one.turns.written()
        self._last = 0

    # -- sessions

    def _sessions(self, snapshot: Snapshot, at: int) -> None:
        chains = {chain.pid: chain for chain in snapshot.chains}
        seen = set()
        second = at // 1000
        for session in snapshot.facts.sessions:
            if not session.takes_slot:
                continue
            pid = session.pid
            seen.add(pid)
            one = self._open.get(pid)
            if one is not None and not _same(one.session, session):
                self._end(one, self._until(at))
                one = None
            if one is None:
                one = self._begin(session, at)
            chain = chains.get(pid)
            if chain is not one.chain or session.application_name != one.session.application_name or not one.who:
                self._describe(one, session, chain, snapshot)
            one.session = session
            state = HIDDEN if session.state is None else code(session.state)
            if not one.turns.rows or one.turns.rows[-1][1] != state:
                self._turn(one, second, state)
        for pid in self._open.keys() - seen:
            self._end(self._open[pid], self._until(at))

    def _until(self, at: int) -> int:
        """When a session that is not there any more was first not seen; after a gap: when nobody looked any more."""
        return self._last + self._every if self._last and self._is_gap(at) else at

    def _is_gap(self, at: int) -> bool:
        """Whether looks are missing since the last one."""
        return at - self._last > max(3 * self._every, self._every + 2000)

    def _begin(self, session: Session, at: int) -> _Open:
        one = _Open(self._names.new("life"), at, session)
        self._open[session.pid] = one
        return one

    def _describe(self, one: _Open, session: Session, chain: Chain | None, snapshot: Snapshot) -> None:
        """Who it is and who holds it, as far as that is new. Whom it was seen to be held by stays its holder."""
        who = self._names.who(session)
        new = not one.who
        holder, number, process = one.holder, one.chain_id, _process(one.chain)
        if chain is not None and chain != one.chain and (not one.holder or chain.end not in _BLIND):
            holder = self._names.holder(self.number, snapshot.holder(chain.holder) or chain.holder)
            number, process = self._names.chain(holder, chain), _process(chain)
        elif not one.holder:
            holder = self._names.holder(self.number, "unknown")
        if new:
            self._database.run(
                "insert into life (id, server, pid, backend_start, who, chain, holder, port, process, since, level)"
                " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (one.number, self.number, session.pid, session.backend_start, who, number, holder, session.client.port,
                 process, one.since, schema.OPEN),
            )  # fmt: skip
        elif (who, number, holder) != (one.who, one.chain_id, one.holder):
            self._database.run(
                "update life set who = ?, chain = ?, holder = ?, process = ? where id = ?",
                (who, number, holder, process, one.number),
            )
        one.who, one.chain_id, one.holder, one.chain = who, number, holder, chain

    def _end(self, one: _Open, at: int) -> None:
        del self._open[one.session.pid]
        self._dirty.discard(one)
        turns = one.turns.rows
        if one.stored > len(turns) or one.packed:
            self._write_turns(one)
            turns = self._stored_turns(one)
        if one.stored:
            self._database.run("delete from turn where life = ?", (one.number,))
        until = max(at, one.since + 1)
        self._database.run(
            "update life set until = ?, level = ?, turns = ? where id = ?",
            (until, schema.level(until - one.since), pack(one.since // 1000, turns), one.number),
        )

    # -- turns

    def _turn(self, one: _Open, second: int, state: int) -> None:
        if one.turns.look(second, state):
            self._dirty.add(one)

    def _write_turns(self, one: _Open) -> None:
        turns = one.turns
        fresh = turns.rows[turns.settled :]
        if turns.undone:
            after = turns.rows[turns.settled - 1][0] if turns.settled else turns.rows[0][0] - 1
            self._database.run("delete from turn where life = ? and at > ?", (one.number, after))
            one.stored -= turns.undone
        self._database.many(
            "insert into turn (life, at, state) values (?, ?, ?)", [(one.number, at, state) for at, state in fresh]
        )
        one.stored += len(fresh)
        turns.written()
        if one.stored > _PACKED_FROM:
            rows = self._stored_turns(one)[:-2]
            if rows:
                self._database.run(
                    "insert into turns (life, since, body) values (?, ?, ?)",
                    (one.number, rows[0][0], pack(rows[0][0], rows)),
                )
                self._database.run("delete from turn where life = ? and at <= ?", (one.number, rows[-1][0]))
            one.stored, one.packed = 2, True

    def _stored_turns(self, one: _Open) -> list[Turn]:
        rows = self._database.rows("select at, state from turn where life = ? order by at", (one.number,))
        return [(int(at), int(state)) for at, state in rows]

    # -- limits and refusals

    def _limits(self, ceilings: Ceilings, at: int) -> None:
        old = self._ceilings
        self._ceilings = ceilings
        limits = [[kind, limit.name, limit.limit] for kind, limits in
                  (("role", ceilings.roles), ("database", ceilings.databases)) for limit in limits]  # fmt: skip
        values = (ceilings.max_connections, ceilings.superuser_reserved, ceilings.reserved, ceilings.certainty.value,
                  json.dumps(limits))  # fmt: skip
        if old is None:
            known = self._database.rows(
                "select most, superuser_reserved, reserved, certainty, limits from ceiling where server = ?"
                " order by since desc limit 1",
                (self.number,),
            )
            if known and tuple(known[0]) == values:
                return
        elif _bounds(old) == _bounds(ceilings):
            return
        self._database.run(
            "insert into ceiling (server, since, most, superuser_reserved, reserved, certainty, limits)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (self.number, at, *values),
        )

    def _refusals(self, attempts: tuple[Attempt, ...], at: int) -> None:
        """Own probes that were refused; a sample that tells of an earlier one again brings the same objects."""
        before, self._attempts = self._attempts, attempts
        for attempt in attempts:
            if attempt.lacks_slots and not any(attempt is one for one in before):
                ceiling = attempt.ceiling.value if attempt.ceiling is not None else None
                self.refused(at, ("own probe", attempt.sqlstate, attempt.refused_by, ceiling, attempt.outcome))

    def refused(self, at: int, how: tuple[object, ...], number: int = 1) -> None:
        """Notes refusals: (source, SQLSTATE, by whom, which ceiling, words) at a moment in milliseconds."""
        known = self._refused.get(how)
        if known is not None and 0 <= at - known[1] < _SAME_REFUSAL:
            self._database.run("update refusal set until = ?, number = number + ? where id = ?", (at, number, known[0]))
            self._refused[how] = known[0], at
            return
        if len(self._refused) >= _REFUSALS:
            self._refused.clear()
        self._refused[how] = self._names.new("refusal"), at
        self._database.run(
            "insert into refusal (id, server, since, until, number, source, sqlstate, refused_by, ceiling, words)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._refused[how][0], self.number, at, at, number, *how),
        )

    # -- going on

    def _resume(self) -> None:
        """The sessions that a recorder left as being there: what they are now, the first snapshot tells."""
        spans = self._database.rows(
            "select until from span where server = ? order by since desc limit 1", (self.number,)
        )
        if not spans:
            return
        self._last = max(0, int(spans[0][0]) - self._every)
        lives = self._database.rows(
            "select id, pid, backend_start, who, chain, holder, since from life where server = ? and level = ?",
            (self.number, schema.OPEN),
        )
        by_number = {}
        for number, pid, start, who, chain, holder, since in lives:
            one = _Open(int(number), int(since), Session(int(pid), start))
            one.who, one.chain_id, one.holder = int(who), int(chain), int(holder)
            one.packed = True  # it may be: the store is asked at its end
            by_number[one.number] = self._open[one.session.pid] = one
        turns = self._database.rows(
            "select t.life, t.at, t.state from turn t join life l on l.id = t.life where l.server = ? and l.level = ?"
            " order by t.life, t.at",
            (self.number, schema.OPEN),
        )
        for number, at, state in turns:
            if (found := by_number.get(int(number))) is not None:
                found.turns.rows.append((int(at), int(state)))
                found.stored += 1
        for one in by_number.values():
            one.turns.written()
            self._turn(one, (self._last + self._every) // 1000, UNSEEN)


def _same(old: Session, new: Session) -> bool:
    """Whether two sightings of one pid are one session."""
    if old.backend_start is not None and new.backend_start is not None:
        return old.backend_start == new.backend_start
    first, second = (one.backend_start or one.started_about for one in (old, new))
    return first is None or second is None or abs(first - second) < _NEAR


def _process(chain: Chain | None) -> int | None:
    links: Iterable[int | None] = (link.pid for link in chain.links if link.kind is LinkKind.PROCESS) if chain else ()
    return next(iter(links), None)


def _bounds(ceilings: Ceilings) -> tuple[object, ...]:
    limits = tuple((limit.name, limit.limit) for limits in (ceilings.roles, ceilings.databases) for limit in limits)
    return (ceilings.max_connections, ceilings.superuser_reserved, ceilings.reserved, ceilings.certainty, limits)
