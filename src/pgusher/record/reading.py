"""Reading the memory: who held what at a moment, the most that each holder held, minute by minute, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pgusher.model.address import Micros
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Link
from pgusher.model.past import ALL, Ceiling, Life, Moment, Peak, Refused, Series, Span
from pgusher.record import hours, states, sweep
from pgusher.record.database import Database, Row, StoreError
from pgusher.record.days import days
from pgusher.record.lives import LONGEST_SPAN, overlapping, spans
from pgusher.record.names import links_of

_LIFE = (
    "l.id, l.pid, l.backend_start, h.name, l.since, l.until, w.usename, w.datname, w.app, w.client, l.port, l.process,"
    " l.chain, l.turns"
)
_AT_ONCE = 5000
"""Lives whose turns are asked for in one statement."""
_NAMED = "join holder h on h.id = l.holder join who w on w.id = l.who"
_LATE: Micros = 10_000_000
"""So much later than now may the last look count."""
_SPAN = "select since, until, rung, samples, opened_first, opened_last from span where server = ? and since "


class Reader:
    """Reads a store, also while somebody writes it. Moments are microseconds since 1970, as everywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Lets the store go."""
        self._database.close()

    def servers(self) -> tuple[str, ...]:
        """The labels of all servers in it, the one looked at last first."""
        rows = self._database.rows(
            "select s.label from server s join span p on p.server = s.id group by s.id, s.label"
            " order by max(p.until) desc"
        )
        return tuple(label for (label,) in rows)

    def bounds(self, server: str) -> tuple[Micros, Micros] | None:
        """The first and the last moment at which the server was seen; None for a server that never was."""
        row = self._database.rows("select min(since), max(until) from span where server = ?", (self._server(server),))[
            0
        ]
        return (int(row[0]) * 1000, int(row[1]) * 1000) if row[0] is not None else None

    def moment(self, server: str, at: Micros) -> Moment:
        """Who held what. Raises StoreError for a server that is not in the store, as all that follow."""
        number, ms = self._server(server), at // 1000
        rows = self._database.rows(f"{_SPAN} <= ? order by since desc limit 1", (number, ms))
        before = _span(rows[0]) if rows else None
        inside = before if before is not None and at < before.until else None
        after = None
        if inside is None:
            rows = self._database.rows(f"{_SPAN} > ? order by since limit 1", (number, ms))
            after = _span(rows[0]) if rows else None
        found = overlapping(self._database, number, ms, ms + 1, _LIFE, _NAMED)
        if inside is None and after is None:
            found = []  # those that are open were there when last looked: whether they are now nobody knows
        turns = self._turns_at(found, ms // 1000)
        lives = sorted((_life(row, turns.get(row[0])) for row in found), key=lambda one: (one.since, one.pid))
        return Moment(at, server, inside, None if inside else before, after, tuple(lives), self.ceiling(server, at))

    def lives(self, server: str, since: Micros, until: Micros) -> Iterator[Life]:
        """The lives that were there at some time of it, the oldest first."""
        rows = overlapping(self._database, self._server(server), since // 1000, until // 1000, _LIFE, _NAMED)
        for row in sorted(rows, key=lambda row: (row[4], row[0])):
            yield _life(row, None)

    def chain(self, number: int) -> tuple[Link, ...]:
        """The links of a stored chain, with their evidence."""
        rows = self._database.rows("select body from chain where id = ?", (number,))
        return links_of(rows[0][0]) if rows else ()

    def turns(self, server: str, life: Life) -> tuple[tuple[Micros, str | None], ...]:
        """The states of a life: since when each. None for a time in which nobody looked."""
        rows = self._database.rows(
            "select id, since, turns from life where server = ? and pid = ? and since = ?",
            (self._server(server), life.pid, life.since // 1000),
        )
        return tuple((at * 1_000_000, states.NAMES[code]) for at, code in self._turns(*rows[0])) if rows else ()

    def spans(self, server: str, since: Micros, until: Micros) -> tuple[tuple[Micros, Micros], ...]:
        """The times in which somebody looked."""
        found = spans(self._database, self._server(server), since // 1000, until // 1000)
        return tuple((first * 1000, last * 1000) for first, last in found)

    def opened(self, server: str, since: Micros, until: Micros) -> int | None:
        """Sessions that the server opened at least, by its own number, also those too short to be seen.

        That is told for whole spans: of one that begins before or lasts longer, those count that were seen to come.
        None where the server told nothing.
        """
        number, first, last = self._server(server), since // 1000, until // 1000
        rows = self._database.rows(f"{_SPAN} >= ? and since < ?", (number, first - LONGEST_SPAN, last))
        told = [span for span in map(_span, rows) if span.opened is not None and span.until > since]
        count = 0
        for span in told:
            if span.since >= since and span.until <= until + _LATE:
                count += span.opened or 0
                continue
            begin, end = max(span.since // 1000 + 1, first), min(span.until // 1000, last)
            came = overlapping(self._database, number, begin, end, "l.since") if begin < end else []
            count += sum(begin <= at < end for (at,) in came)
        return count if told else None

    def ceiling(self, server: str, at: Micros) -> Ceiling | None:
        """The limits at a moment."""
        rows = self._database.rows(
            "select since, most, superuser_reserved, reserved, certainty, limits from ceiling"
            " where server = ? and since <= ? order by since desc limit 1",
            (self._server(server), at // 1000),
        )
        if not rows:
            return None
        first, most, superuser_reserved, reserved, certainty, limits = rows[0]
        return Ceiling(first * 1000, most, superuser_reserved, reserved, Certainty(certainty), _limits(limits))

    def refusals(self, server: str, since: Micros, until: Micros) -> tuple[Refused, ...]:
        """Refusals for lack of slots, the first ones first."""
        rows = self._database.rows(
            "select since, until, number, source, sqlstate, refused_by, ceiling, words from refusal"
            " where server = ? and until >= ? and since < ? order by since",
            (self._server(server), since // 1000, until // 1000),
        )
        return tuple(Refused(row[0] * 1000, row[1] * 1000, *row[2:]) for row in rows)

    def peaks(self, server: str, since: Micros, until: Micros) -> tuple[Peak, ...]:
        """The most that each holder held over a time, the most first; the first is that of all together (`ALL`).

        Nothing for a time in which nobody looked.
        """
        number = self._server(server)
        first, last = since // 1000, until // 1000
        sums: dict[int, _Sum] = {}
        for begin, end, summed in self._parts(number, first, last):
            for holder, part in self._summed(number, begin, end) if summed else self._swept(number, begin, end):
                sums.setdefault(holder, _Sum()).add(part)
        looked = sums[sweep.ALL].seen if sweep.ALL in sums else 0
        if not looked:
            return ()
        names = self._holders(number)
        now = self._counts(number, last - 1)
        found = [
            Peak(
                names[key][0],
                one.most,
                self._minute(number, key, one) * 1000,
                one.least if one.seen == looked else 0,
                one.slot_ms / looked,
                now.get(key, 0),
                one.opened,
                one.ended,
                names[key][1],
            )
            for key, one in sums.items()
            if key in names and one.most
        ]
        return tuple(sorted(found, key=lambda peak: (peak.holder != ALL, -peak.most, peak.holder)))

    def series(self, server: str, since: Micros, until: Micros, holder: str | None = None) -> tuple[Series, ...]:
        """Minute by minute: of all together first, then each holder (or the one), the one with the most first."""
        number = self._server(server)
        first = since // 1000 // hours.MINUTE * hours.MINUTE
        size = max(0, -(-(until // 1000 - first) // hours.MINUTE))
        found: dict[int, list[hours.Minute]] = {sweep.ALL: [hours.NOTHING] * size}
        names = self._holders(number)
        for begin, end, summed in self._parts(number, first, first + size * hours.MINUTE):
            each = self._summed_minutes(number, begin, end) if summed else self._swept_minutes(number, begin, end)
            for key, at, minutes in each:
                if key != sweep.ALL and holder is not None and names.get(key, ("",))[0] != holder:
                    continue
                place = (at - first) // hours.MINUTE
                if key not in found:
                    found[key] = [hours.NOTHING] * size
                for index, minute in enumerate(minutes, place):
                    if 0 <= index < size:
                        found[key][index] = minute
        looked = [minute.most is not None for minute in found[sweep.ALL]]
        made = [_series(names[key][0], first * 1000, minutes, looked) for key, minutes in found.items() if key in names]
        return tuple(sorted(made, key=lambda one: (one.holder != ALL, -max((n or 0 for n in one.most), default=0))))

    def days(self, server: str, since: Micros, until: Micros, rise: int) -> tuple[Series, ...]:
        """Minute by minute over many days, of all together and of the holders that rose or fell by `rise` at least.

        By whole hours that are over. The most alone; of an hour in which it rose or fell by less, that of the hour.
        """
        number = self._server(server)
        names = {key: name for key, (name, _) in self._holders(number).items()}
        return days(self._database, number, names, since, until, rise)

    def _minute(self, server: int, holder: int, part: _Sum) -> int:
        """When the most were there, to the minute where that is kept."""
        if part.at % hours.HOUR:
            return part.at
        rows = self._database.rows(
            "select minutes from hour where server = ? and at = ? and holder = ? and most = ?",
            (server, part.at, holder, part.most),
        )
        minutes = hours.unpack(rows[0][0]) if rows else ()
        return part.at + next((i for i, one in enumerate(minutes) if one.most == part.most), 0) * hours.MINUTE

    def holders(self, server: str) -> dict[str, tuple[str, str, str | None]]:
        """By its name each holder that ever was: its kind, its title, the known program that it is."""
        rows = self._database.rows(
            "select name, kind, title, program from holder where server = ?", (self._server(server),)
        )
        return {name: (kind, title, program) for name, kind, title, program in rows}

    # -- parts of a time

    def _parts(self, server: int, first: int, last: int) -> Iterator[tuple[int, int, bool]]:
        """A time in parts: whole hours that are summed up, and what lies before and behind them."""
        if first >= last:
            return
        hour = hours.HOUR
        begin, end = -(-first // hour) * hour, last // hour * hour
        rows = self._database.rows("select max(at), min(at) from hour where server = ?", (server,))
        if begin < end and rows[0][0] is not None:
            begin, end = max(begin, int(rows[0][1])), min(end, int(rows[0][0]) + hour)
            if begin < end:
                if first < begin:
                    yield first, begin, False
                yield begin, end, True
                if end < last:
                    yield end, last, False
                return
        yield first, last, False

    def _swept(self, server: int, begin: int, end: int) -> Iterator[tuple[int, _Sum]]:
        looked = [(max(a, begin), min(b, end)) for a, b in spans(self._database, server, begin, end)]
        if not looked:
            return
        # No buckets for years in which nobody looked; who was there at the first look was not opened then.
        begin, end = max(begin, looked[0][0] - 1), looked[-1][1]
        size = -(-(end - begin) // hours.MINUTE)
        rows = overlapping(self._database, server, begin, end, "l.holder, l.since, l.until")
        length = sum(b - a for a, b in looked)
        for holder, buckets in sweep.sweep(rows, looked, begin, hours.MINUTE, size).items():
            most, at = max(
                ((n, -when) for n, when in zip(buckets.most, buckets.most_at, strict=True) if n is not None),
                default=(0, 0),
            )
            least = min((n for n in buckets.least if n is not None), default=0)
            yield holder, _Sum(most, -at, least, sum(buckets.slot_ms), length, buckets.opened, buckets.ended)

    def _summed(self, server: int, begin: int, end: int) -> Iterator[tuple[int, _Sum]]:
        rows = self._database.rows(
            "select holder, at, least, most, slot_ms, seen_ms, opened, ended from hour"
            " where server = ? and at >= ? and at < ? order by at",
            (server, begin, end),
        )
        for holder, at, *figures in rows:
            yield holder, _Sum(figures[1], at, figures[0], *figures[2:])

    def _swept_minutes(self, server: int, begin: int, end: int) -> Iterator[tuple[int, int, Iterable[hours.Minute]]]:
        size = -(-(end - begin) // hours.MINUTE)
        looked = spans(self._database, server, begin, end)
        rows = overlapping(self._database, server, begin, end, "l.holder, l.since, l.until")
        each = sweep.seen(looked, begin, hours.MINUTE, size)
        for holder, buckets in sweep.sweep(rows, looked, begin, hours.MINUTE, size).items():
            yield (
                holder,
                begin,
                [
                    hours.Minute(least, most, slot_ms / length) if length else hours.NOTHING
                    for least, most, slot_ms, length in zip(
                        buckets.least, buckets.most, buckets.slot_ms, each, strict=True
                    )
                ],
            )

    def _summed_minutes(self, server: int, begin: int, end: int) -> Iterator[tuple[int, int, Iterable[hours.Minute]]]:
        rows = self._database.rows(
            "select holder, at, minutes, least, most, slot_ms, seen_ms from hour"
            " where server = ? and at >= ? and at < ?",
            (server, begin, end),
        )
        for holder, at, minutes, least, most, slot_ms, seen_ms in rows:
            # Of an old hour its figures alone are kept: they stand for each of its minutes.
            whole = [hours.Minute(least, most, slot_ms / seen_ms)] * 60 if seen_ms else [hours.NOTHING] * 60
            yield holder, at, hours.unpack(minutes) if minutes is not None else whole

    def _counts(self, server: int, at: int) -> dict[int, int]:
        """How many sessions each holder had at a moment; after the end, those that were there when last looked."""
        found = {sweep.ALL: 0}
        for (holder,) in overlapping(self._database, server, at, at + 1, "l.holder"):
            found[holder] = found.get(holder, 0) + 1
            found[sweep.ALL] += 1
        return found

    # -- names

    def _server(self, label: str) -> int:
        rows = self._database.rows("select id from server where label = ?", (label,))
        if not rows:
            known = ", ".join(self.servers()) or "none"
            raise StoreError(f"store {self._database.name} has nothing of {label}", detail=f"it has: {known}")
        return int(rows[0][0])

    def _holders(self, server: int) -> dict[int, tuple[str, str]]:
        rows = self._database.rows("select id, name, title from holder where server = ?", (server,))
        return {sweep.ALL: (ALL, ""), **{int(key): (name, title) for key, name, title in rows}}

    def _turns_at(self, rows: list[Row], second: int) -> dict[int, states.Turn]:
        """By life the turn that holds at a moment: asked for all of them at once."""
        found: dict[int, states.Turn] = {}
        for at in range(0, len(rows), _AT_ONCE):
            numbers = [row[0] for row in rows[at : at + _AT_ONCE]]
            marks = ", ".join("?" * len(numbers))
            packed = self._database.rows(
                f"select t.life, t.since, t.body from turns t where t.life in ({marks}) and t.since ="  # noqa: S608 - question marks
                " (select max(x.since) from turns x where x.life = t.life and x.since <= ?)",
                (*numbers, second),
            )
            single = self._database.rows(
                f"select t.life, t.at, t.state from turn t where t.life in ({marks}) and t.at ="  # noqa: S608 - as above
                " (select max(x.at) from turn x where x.life = t.life and x.at <= ?)",
                (*numbers, second),
            )
            for life, since, body in packed:
                if (turn := states.at(states.unpack(since, body), second)) is not None:
                    found[life] = turn
            found.update((life, (since, state)) for life, since, state in single)
        for row in rows:
            if row[13] is not None and (turn := states.at(states.unpack(row[4] // 1000, row[13]), second)) is not None:
                found[row[0]] = turn
        return found

    def _turns(self, number: int, since: int, raw: bytes | None) -> list[states.Turn]:
        """All turns of a life, in their order."""
        found: list[states.Turn] = []
        for first, body in self._database.rows(
            "select since, body from turns where life = ? order by since", (number,)
        ):
            found += states.unpack(first, body)
        if raw is not None:
            found += states.unpack(since // 1000, raw)
        else:
            found += self._database.rows("select at, state from turn where life = ? order by at", (number,))
        return found


def _life(row: Row, turn: states.Turn | None) -> Life:
    _, pid, start, holder, since, until, user, database, app, client, port, process, chain, _ = row
    return Life(
        pid, start, holder, since * 1000, until * 1000 if until is not None else None, user, database, app, client,
        port, process, states.NAMES[turn[1]] if turn else None, turn[0] * 1_000_000 if turn else None, chain,
    )  # fmt: skip


def _limits(body: str) -> tuple[tuple[str, str, int], ...]:
    """CONNECTION LIMITs as they are stored; nothing for what is not readable."""
    try:
        return tuple((str(kind), str(name), int(limit)) for kind, name, limit in json.loads(body))
    except (ValueError, TypeError):
        return ()


class _Sum:
    """Figures of a holder over a time, added up."""

    __slots__ = ("at", "ended", "least", "most", "opened", "seen", "slot_ms")

    def __init__(self, *figures: Any) -> None:
        keys = ("most", "at", "least", "slot_ms", "seen", "opened", "ended")
        for key, value in zip(keys, figures or (-1, 0, 1 << 62, 0, 0, 0, 0), strict=True):
            setattr(self, key, value)

    most: int
    at: int
    least: int
    slot_ms: int
    seen: int
    opened: int
    ended: int

    def add(self, other: _Sum) -> None:
        """What follows in time."""
        if other.most > self.most:
            self.most, self.at = other.most, other.at
        self.least = min(self.least, other.least)
        self.slot_ms += other.slot_ms
        self.seen += other.seen
        self.opened += other.opened
        self.ended += other.ended


def _span(row: Row) -> Span:
    since, until, rung, samples, first, last = row
    opened = last - first if first is not None and last is not None and last >= first else None
    return Span(since * 1000, until * 1000, rung, samples, opened)


def _series(name: str, since: Micros, minutes: list[hours.Minute], looked: list[bool]) -> Series:
    """A minute in which a holder has no figure, and others have, is one without a slot of its."""
    zero = hours.Minute(0, 0, 0.0)
    filled = [zero if seen and one.most is None else one for one, seen in zip(minutes, looked, strict=True)]
    return Series(
        name, since, tuple(m.least for m in filled), tuple(m.most for m in filled), tuple(m.mean for m in filled)
    )
