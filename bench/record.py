"""The memory: what a day takes, how fast a year is asked, what recording costs, and whether it grows.

    python bench/record.py [--quick]

The snapshots are made here, as a look at 500 sessions gives them: what is measured is the recording alone.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.record import schema
from pgusher.record.reading import Reader
from pgusher.record.recorder import Recorder
from pgusher.record.states import pack
from pgusher.record.store import open_store
from tests.record.days import MIDNIGHT, PORT, SECOND, Clock, session, snapshot

SESSIONS, HOLDERS = 500, 20
DAY = 86_400


def looks(seconds: int, seed: int = 8) -> Iterator[Snapshot]:
    """A look a second: 500 sessions of 20 holders, each at work a tenth of the time; a pool member lives an hour."""
    chance = random.Random(seed)  # noqa: S311 - test data
    pids = iter(range(1000, 1 << 40))
    held = [session(next(pids), f"unit/web{number % HOLDERS}") for number in range(SESSIONS)]
    one = snapshot(MIDNIGHT, held)
    chains, sessions = list(one.chains), list(one.facts.sessions)
    for second in range(seconds):
        at = MIDNIGHT + second * SECOND
        for place in chance.sample(range(SESSIONS), 20):  # so many change their state in a second
            state = "active" if chance.random() < 0.1 else "idle"
            if sessions[place].state != state:
                sessions[place] = replace(sessions[place], state=state)
        for place in range(SESSIONS):
            if chance.random() < 1 / 3600:
                new = snapshot(at, [session(next(pids), f"unit/web{place % HOLDERS}", backend_start=at)])
                sessions[place], chains[place] = new.facts.sessions[0], new.chains[0]
        facts = replace(one.facts, taken_at=at, sessions=tuple(sessions))
        yield replace(one, facts=facts, chains=tuple(chains))


def memory() -> float:
    """MB that this process has now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def recorded(path: str, seconds: int) -> tuple[float, list[float]]:
    """Seconds of CPU that the recorder took, and the memory at each tenth of the time."""
    clock, took, sizes = Clock(), 0.0, []
    made = Recorder(open_store(path, write=True), monotonic=clock)
    for number, one in enumerate(looks(seconds)):
        clock.now = float(number)
        before = time.process_time()
        made.take([one])
        took += time.process_time() - before
        if number % (seconds // 10) == seconds // 10 - 1:
            sizes.append(memory())
    made.close()
    return took, sizes


def year(path: str, days: int) -> int:
    """A year of lives, written straight into the tables: of 500 that are there each lives an hour."""
    chance = random.Random(8)  # noqa: S311 - test data
    made = open_store(path, write=True)
    made.run("insert into server (id, label, port) values (1, ?, 5432)", (PORT,))
    for number in range(1, HOLDERS + 1):
        made.run(
            "insert into holder (id, server, name, kind, title) values (?, 1, ?, 'unit', 'x')", (number, f"u{number}")
        )
        made.run("insert into chain (id, holder, digest, body) values (?, ?, 'x', '{}')", (number, number))
    made.run("insert into who (id, digest) values (1, 'x')")
    began, lives = MIDNIGHT // 1000, 0
    for day in range(days):
        rows = []
        for _ in range(SESSIONS * 24):
            since = began + (day * DAY + chance.randrange(DAY)) * 1000
            length = round(chance.expovariate(1 / 3_600_000)) + 1000
            lives += 1
            rows.append((lives, lives % 60_000, lives % HOLDERS + 1, lives % HOLDERS + 1, since, since + length,
                         schema.level(length), pack(since // 1000, [(since // 1000, 1)])))  # fmt: skip
        made.many(
            "insert into life (id, server, pid, who, chain, holder, since, until, level, turns)"
            " values (?, 1, ?, 1, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        for hour in range(24):
            at = began + (day * 24 + hour) * 3_600_000
            made.run(
                "insert into span (id, server, since, until, rung, samples)"
                " values (?, 1, ?, ?, 'held connection', 3600)",
                (day * 24 + hour + 1, at, at + 3_600_000),
            )
        made.commit()
    made.close()
    return lives


def main() -> None:
    quick = "--quick" in sys.argv
    seconds, days = (DAY // 24, 20) if quick else (100_000, 365)
    print(f"{'figure':52}{'is':>12}{'goal':>12}")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "day.db")
        cpu, sizes = recorded(path, seconds)
        size = os.path.getsize(path) * DAY / seconds
        print(f"{'a day of 500 sessions, 12,000 lives, MB':52}{size / 1e6:12.1f}{'< 10':>12}")
        print(f"{'recording a look a second, % of a core':52}{cpu / seconds * 100:12.2f}{'< 1':>12}")
        what = f"memory after {seconds // 10} and {seconds} looks, MB"
        print(f"{what:52}{f'{sizes[0]:.0f}, {sizes[-1]:.0f}':>12}{'flat':>12}")
        path = os.path.join(directory, "year.db")
        lives = year(path, days)
        reader = Reader(open_store(path))
        chance, took = random.Random(3), []  # noqa: S311 - test data
        for _ in range(200):
            at = MIDNIGHT + chance.randrange(DAY, days * DAY) * SECOND
            before = time.perf_counter()
            taken = reader.moment(PORT, at).taken
            took.append((time.perf_counter() - before) * 1000)
            if not 350 < taken < 650:
                sys.exit(f"{taken} sessions were told at a moment at which about 500 were there")
        took.sort()
        what = f"who held at T, of {lives:,} lives in {days} days, ms"
        print(f"{what + ', median':52}{took[100]:12.1f}{'< 50':>12}")
        print(f"{what + ', worst of 200':52}{took[-1]:12.1f}{'< 50':>12}")


if __name__ == "__main__":
    main()
