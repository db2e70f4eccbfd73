"""What pools cost and how they behave when a server is full, restarts, or has less room than callers.

    python bench/pool.py [--quick] [loan full restart crowd storm dies fork exit threads import]

psycopg_pool, SQLAlchemy and asyncpg beside ours, in turn or at the same time, on one server; PgBouncer (if it is
installed) in front of psycopg_pool, in a column of its own. --quick: shorter, without the longest waits.
PYTHONS="3.12=/path/to/python 3.13=/path": interpreters that have psycopg, for the row `exit`.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import psycopg  # noqa: E402  # found by the path above

from pgusher.demo.server import EmbeddedServer  # noqa: E402  # as above
from tests.bed.proxy import Proxy  # noqa: E402  # as above

KINDS = ("psycopg_pool", "sqlalchemy", "asyncpg", "pgusher")
ACTOR = str(ROOT / "bench" / "pool_actor.py")
QUICK = "--quick" in sys.argv
SLOTS = 37


class Actor:
    """One process of bench/pool_actor.py."""

    def __init__(self, scenario: str, kind: str, options: dict[str, Any], python: str = sys.executable) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # it is closed in end()
        self.process = subprocess.Popen(
            [python, ACTOR, scenario, kind, json.dumps(options)], stdout=subprocess.PIPE, stdin=subprocess.PIPE,
            stderr=self.said, text=True, env=environment,
        )  # fmt: skip

    def hear(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            sys.exit(f"{' '.join(map(str, self.process.args[1:4]))} ended:\n{self.said.read()[-2000:]}")
        return json.loads(line)

    def nudge(self, word: str = "") -> None:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def end(self, patience: float = 60.0) -> None:
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.said):
            if stream is not None:
                stream.close()


def one(scenario: str, kind: str, options: dict[str, Any], patience: float = 60.0) -> dict[str, Any]:
    actor = Actor(scenario, kind, options)
    found = actor.hear()
    actor.end(patience)
    return found


class Stage:
    """The server, with a role for each kind, so that its log tells who was refused."""

    def __init__(self, server: EmbeddedServer, directory: str) -> None:
        self.server = server
        self.directory = directory
        self.bouncer = 0
        self.read = 0

    def options(self, kind: str, **more: Any) -> dict[str, Any]:
        given = {"host": self.server.addresses[0], "port": self.bouncer if kind == "pgbouncer" else self.server.port}
        dsn = f"host={given['host']} port={given['port']} user={kind} dbname=postgres"
        return {
            "dsn": dsn,
            "url": f"postgresql://{kind}@{given['host']}:{given['port']}/postgres",
            "directory": self.directory,
            **more,
        }

    def sql(self, statement: str) -> list[Any]:
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def refused(self) -> dict[str, int]:
        """FATALs of refused connects since the last call, by role."""
        text = self.server.log()[self.read :]
        self.read += len(text)
        found: dict[str, int] = {}
        for user in re.findall(r"\[(\w*)\] FATAL: +(?:too many|sorry|remaining)", text):
            found[user] = found.get(user, 0) + 1
        return found


@contextmanager
def stage() -> Iterator[Stage]:
    with (
        tempfile.TemporaryDirectory(prefix="pool-bench-") as directory,
        EmbeddedServer(max_connections=SLOTS + 3, log_line_prefix="%m [%u] ") as server,
    ):
        made = Stage(server, directory)
        for kind in (*KINDS, "pgbouncer"):
            made.sql(f"create role {kind} login")
        with pgbouncer(made, directory):
            yield made


@contextmanager
def pgbouncer(made: Stage, directory: str) -> Iterator[None]:
    """In front of it, transaction pooling, with all of its slots, if it is installed."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        yield
        return
    os.chmod(directory, 0o755)  # noqa: S103  # it runs as another user when we are root
    with Proxy(("127.0.0.1", 1)) as free:
        made.bouncer = free.port
    ini = Path(directory) / "pgbouncer.ini"
    ini.write_text(
        f"[databases]\n* = host={made.server.addresses[0]} port={made.server.port} user=pgbouncer\n[pgbouncer]\n"
        f"listen_addr=127.0.0.1\nlisten_port={made.bouncer}\nauth_type=any\npool_mode=transaction\n"
        f"default_pool_size={SLOTS}\nmax_client_conn=1000\nunix_socket_dir=\nignore_startup_parameters=options\n"
    )
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, *user, str(ini)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1.0)
        if process.poll() is not None:
            made.bouncer = 0
        yield
    finally:
        process.terminate()
        process.wait(20)


class Table:
    """Rows as they are measured."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def row(self, what: str, rivals: dict[str, str], ours: str, ratio: str, goal: str, reached: bool) -> None:
        if not reached:
            self.missed.append(what)
        print(f"{what}")
        for name, value in rivals.items():
            print(f"    {name:14} {value}")
        print(
            f"    {'pgusher':14} {ours}   ratio {ratio}   goal {goal}: {'reached' if reached else 'MISSED'}", flush=True
        )


def ratio(ours: float | None, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if ours is not None and theirs else "-"


def loan(made: Stage, table: Table) -> None:
    found = one("loan", "all", made.options("pgusher", rounds=5 if QUICK else 15, count=4000 if QUICK else 20000), 300)
    rivals = {name: f"{value:.1f} us" for name, value in found.items() if name != "pgusher"}
    ours = found["pgusher"]
    table.row(
        "one loan and return, idle pool",
        rivals,
        f"{ours:.1f} us",
        ratio(ours, found["psycopg_pool"]),
        "<= 8 us",
        ours <= 8,
    )


def full(made: Stage, table: Table) -> None:
    for seconds in (4,) if QUICK else (4, 16, 66):
        # All kinds at the same time, each with a role of its own that has no slot: 3 processes of 4 callers.
        for kind in KINDS:
            made.sql(f"alter role {kind} connection limit 0")
        made.refused()
        actors = [(kind, Actor("full", kind, made.options(kind, threads=4, max=4))) for kind in KINDS for _ in range(3)]
        for _, actor in actors:
            actor.hear()
        for _, actor in actors:
            actor.nudge()
        time.sleep(seconds)
        made.sql("; ".join(f"alter role {kind} connection limit -1" for kind in KINDS))
        count, room = made.refused(), time.monotonic()
        late: dict[str, float] = {}
        errors: dict[str, int] = {}
        for kind, actor in actors:
            heard = actor.hear()
            late[kind] = max(late.get(kind, 0.0), min(heard["served"]) - room)
            errors[kind] = errors.get(kind, 0) + len(heard["errors"])
            actor.end()
        told = {
            kind: f"{late[kind]:.2f} s, {count.get(kind, 0) / seconds:.1f} refused/s, {errors[kind]} errors"
            for kind in KINDS
        }
        ours = told.pop("pgusher")
        reached = late["pgusher"] <= 0.5 and count.get("pgusher", 0) <= 2 * seconds + 1
        goal = "<= 0.5 s, <= 2 refused/s"
        table.row(
            f"back after the server was full {seconds} s",
            told,
            ours,
            ratio(late["pgusher"], late["psycopg_pool"]),
            goal,
            reached,
        )


def restart(made: Stage, table: Table) -> None:
    told: dict[str, str] = {}
    extra: dict[str, float] = {}
    failed: dict[str, int] = {}
    for kind in ("psycopg_pool", "sqlalchemy", "pgusher"):
        actors = [Actor("restart", kind, made.options(kind, max=2)) for _ in range(4 if QUICK else 12)]
        for actor in actors:
            actor.hear()
        time.sleep(2.0)
        stopped = time.monotonic()  # what was begun less than 0.1 s later is cut in the midst, and not counted
        made.server.halt()
        time.sleep(max(0.0, (2.0 if QUICK else 8.0) - (time.monotonic() - stopped)))
        made.server.start()
        up = time.monotonic()
        time.sleep(4.0 if QUICK else 12.0)
        worst, bad = 0.0, 0
        for actor in actors:
            actor.process.terminate()
            units = actor.hear()["units"]
            first = min((end for _, end, worked in units if worked and end > up - 1.0), default=None)
            worst = max(worst, (first - up) if first is not None else 99.0)
            bad += sum(1 for begun, _, worked in units if begun >= stopped + 0.1 and not worked)
            actor.end()
        extra[kind], failed[kind] = worst, bad
        told[kind] = f"{worst:.2f} s extra, {bad} failed"
    made.read = 0 if len(made.server.log()) < made.read else made.read
    ours = told.pop("pgusher")
    reached = extra["pgusher"] <= 0.3 and failed["pgusher"] == 0
    table.row(
        "restart of the server",
        told,
        ours,
        ratio(extra["pgusher"], extra["psycopg_pool"]),
        "<= 0.3 s, 0 failed",
        reached,
    )


def crowd(made: Stage, table: Table) -> None:
    for processes, threads, work, least, fair in ((8, 10, 0.02, 1750, 0.9), (20, 4, 0.05, 700, 0.8)):
        told: dict[str, str] = {}
        rates: dict[str, float] = {}
        spread, wrong = 0.0, 0
        kinds = [*KINDS, *(["pgbouncer"] if made.bouncer else [])]
        for kind in kinds:
            made.refused()
            more = {"work": work, "threads": threads, "max": threads, "timeout": 5.0}
            if kind == "pgusher":
                more["budget"] = SLOTS
            actors = [Actor("crowd", kind, made.options(kind, **more)) for _ in range(processes)]
            for actor in actors:
                actor.hear()
            begin = time.monotonic() + 0.5
            end = begin + (7.0 if QUICK else 14.0)  # the odd slots of 20 x 4 have gone round after seven
            for actor in actors:
                actor.nudge(json.dumps([begin, end]))
            heard = [actor.hear() for actor in actors]
            for actor in actors:
                actor.end()
            done = [each["done"] for each in heard]
            errors = sum(sum(each["errors"].values()) for each in heard)
            fatals = sum(made.refused().values())
            rates[kind] = sum(done) / (end - begin)
            spread, wrong = min(done) / max(1, *done), errors + fatals
            told[kind] = f"{rates[kind]:.0f}/s, worst/best {spread:.2f}, {errors} errors, {fatals} FATALs"
            if kind == "pgusher":
                reached = rates[kind] >= least and spread >= fair and wrong == 0
            # PgBouncer keeps its sessions, and leaves no slot to the next.
            made.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'pgbouncer'")
            time.sleep(1.0)
        ours = told.pop("pgusher")
        goal = f">= {least}/s, >= {fair}, 0, 0"
        table.row(
            f"{processes} processes x {threads} threads on {SLOTS} slots, {work * 1e3:.0f} ms of work", told, ours,
            ratio(rates["pgusher"], rates["psycopg_pool"]), goal, reached,
        )  # fmt: skip


def storm(made: Stage, table: Table) -> None:
    times: dict[str, list[float]] = {}
    opened: dict[str, list[int]] = {}
    kinds = ("psycopg_pool", "sqlalchemy", "pgusher")
    with Proxy((made.server.addresses[0], made.server.port), delay=0.15) as proxy:
        for _ in range(2 if QUICK else 5):
            for kind in kinds:
                options = made.options(kind)
                options["dsn"] = f"host={proxy.host} port={proxy.port} user={kind} dbname=postgres"
                actor = Actor("storm", kind, options)
                actor.hear()
                time.sleep(0.5)
                before = proxy.accepted
                actor.nudge()
                times.setdefault(kind, []).append(actor.hear()["ms"])
                opened.setdefault(kind, []).append(proxy.accepted - before)
                actor.nudge()
                actor.end()
    told = {kind: f"{statistics.median(times[kind]):.0f} ms, {max(opened[kind])} opened" for kind in kinds}
    ours = told.pop("pgusher")
    middle = statistics.median(times["pgusher"])
    reached = middle <= 30 and max(opened["pgusher"]) <= 1
    against = ratio(middle, statistics.median(times["psycopg_pool"]))
    table.row("50 threads at once, connect 150 ms, work 2 ms", told, ours, against, "<= 30 ms, <= 1 opened", reached)


def dies(made: Stage, table: Table) -> None:
    found = {
        kind: one("dies", kind, made.options(kind))["seconds"] for kind in ("psycopg_pool", "sqlalchemy", "pgusher")
    }
    told = {kind: "lost (10 s)" if seconds is None else f"{seconds:.2f} s" for kind, seconds in found.items()}
    ours = told.pop("pgusher")
    reached = found["pgusher"] is not None and found["pgusher"] < 1
    table.row(
        "a thread dies with the only loan", told, ours, ratio(found["pgusher"], found["psycopg_pool"]), "< 1 s", reached
    )


def fork(made: Stage, table: Table) -> None:
    found = {kind: one("fork", kind, made.options(kind), 90) for kind in ("psycopg_pool", "sqlalchemy", "pgusher")}
    told = {kind: f"{each['wrong']} wrong rows, {each['errors']} errors" for kind, each in found.items()}
    ours = told.pop("pgusher")
    reached = found["pgusher"] == {"wrong": 0, "errors": 0}
    table.row("two forked children, 600 queries", told, ours, "-", "0, 0", reached)


def leave(made: Stage, table: Table) -> None:
    given = dict(word.split("=", 1) for word in os.environ.get("PYTHONS", "").split())
    for version in ("3.11", "3.12", "3.13"):
        python = given.get(version) or next(iter(sorted(map(str, ROOT.glob(f".venv*{version}/bin/python")))), None)
        if platform.python_version().startswith(version + "."):
            python = sys.executable
        if python is None:
            print(f"exit without close, {version}: not measured, there is no environment for it (make test-{version})")
            continue
        found = {}
        for kind in ("psycopg_pool", "pgusher"):
            times = []
            for _ in range(1 if kind == "psycopg_pool" else 5):
                actor = Actor("leave", kind, made.options(kind), python)
                left = actor.hear().get("left")
                actor.process.wait(60)
                times.append(time.monotonic() - left if left else 99.0)
                actor.end()
            found[kind] = statistics.median(times)
        table.row(
            f"exit without close, {version}",
            {"psycopg_pool": f"{found['psycopg_pool']:.2f} s"}, f"{found['pgusher']:.2f} s",
            ratio(found["pgusher"], found["psycopg_pool"]), "<= 0.3 s", found["pgusher"] <= 0.3,
        )  # fmt: skip


def threads(made: Stage, table: Table) -> None:
    found = {kind: one("threads", kind, made.options(kind)) for kind in ("psycopg_pool", "sqlalchemy", "pgusher")}
    told = {kind: f"{each['threads']} ({each['later']} after 3 s)" for kind, each in found.items()}
    ours = told.pop("pgusher")
    table.row(
        "threads of a process with two pools", told, ours, "-", "at most 1 in all", found["pgusher"]["later"] <= 1
    )


def imports(made: Stage, table: Table) -> None:  # noqa: ARG001  # called as the others are
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    statements = {"psycopg + psycopg_pool": "import psycopg, psycopg_pool", "pgusher": "from pgusher import Database",
                  "sqlalchemy": "import sqlalchemy, psycopg; sqlalchemy.create_engine"}  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(8 if QUICK else 25):
        for name, statement in statements.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
            times[name].append((time.perf_counter() - began) * 1e3)
    middle = {name: statistics.median(found) for name, found in times.items()}
    over = middle["pgusher"] - middle["psycopg + psycopg_pool"]
    told = {name: f"{value:.0f} ms" for name, value in middle.items() if name != "pgusher"}
    against = ratio(middle["pgusher"], middle["psycopg + psycopg_pool"])
    table.row(
        "import",
        told,
        f"{middle['pgusher']:.0f} ms, {over:+.0f} over psycopg and its pool",
        against,
        "<= 30 over",
        over <= 30,
    )


ROWS = {
    "loan": loan, "full": full, "restart": restart, "crowd": crowd, "storm": storm, "dies": dies, "fork": fork,
    "exit": leave, "threads": threads, "import": imports,
}  # fmt: skip


def main() -> int:
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")] or list(ROWS)
    unknown = [word for word in wanted if word not in ROWS]
    if unknown:
        print(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    table = Table()
    with stage() as made:
        print(
            f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, PostgreSQL {made.server.version}, "
            f"Python {platform.python_version()}, load before {load}{', quick' if QUICK else ''}"
        )
        for word in wanted:
            ROWS[word](made, table)
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"load after {load}; missed: {', '.join(table.missed) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
