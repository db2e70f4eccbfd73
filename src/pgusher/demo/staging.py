"""The staging itself: what is started, in which order, and by what each part shows that it is there."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pgusher.demo import crontab, record, web, world
from pgusher.demo.account import own_account
from pgusher.demo.cache import ENVIRONMENT, place, shared_cache
from pgusher.demo.keep import COOKIE, Keeper
from pgusher.demo.parts import GRAFANA_ACCESS, Note, Part, StagingError, read_notes, switches
from pgusher.demo.people import Person
from pgusher.demo.server import EmbeddedServer

MAX_CONNECTIONS = 100
WORKERS = 2
POOL = 10
BUDGET, REQUESTS = 4, 40
"""Slots of the back end that is written with Database, both workers together, and the requests made of it at once."""
GRAFANA_LIMIT = 100
"""Left at its default, as in actors/grafana_stand_in.py."""

T = TypeVar("T")
Event = tuple[str, dict[str, Any]]
"""Its name and its facts, for the story to put into words."""
Tell = Callable[..., None]
"""Called with the name of an event and its facts, while something is waited for."""
Pause = Callable[[float], None]
"""Waits that many seconds; raises Ended when the staging is to end."""

_HERE = os.path.dirname(os.path.abspath(__file__))
_ACTORS = os.path.join(_HERE, "actors")
_SOURCE = os.path.dirname(os.path.dirname(_HERE))
"""Where the package lies: a module of it is to be found wherever we were started from."""


class Ended(Exception):  # noqa: N818  # no error: somebody wants the staging to end
    """The staging is to end now."""


class Staging:
    """All parts of the incident, started one after the other by `run`. The host ends the processes."""

    def __init__(self, tell: Tell, pause: Pause) -> None:
        """Make the staging's directory. Raises LaunchError when there is no place for one."""
        # A third pair of eyes: should the command and this process be killed at once, it ends all with its cookie.
        self._keeper = Keeper(
            directory_in=place(own_account(), execute=False), prefix=record.PREFIX, mode=record.MODE, sweep=True
        )
        self.directory = self._keeper.directory
        self.cookie = self._keeper.cookie
        self.server: EmbeddedServer | None = None
        self._tell = tell
        self._pause = pause
        self._slots = 0
        self._parts: list[Part] = []
        self._people: list[Person] = []
        self._truth = os.path.join(self.directory, "truth")
        self._home = os.path.join(self.directory, "shop")
        self._grafana = os.path.join(self.directory, GRAFANA_ACCESS)
        self._env: dict[str, str] = {}
        self._pgpass = ""
        self._marks = {COOKIE: self.cookie, "PGUSHER_DEMO_TRUTH": self._truth}
        self._last_progress = ("", 0)

    def steps(self) -> Iterator[Event]:
        """Stage everything, one step after the other: what was done. Raises StagingError, LaunchError or Ended."""
        for name in ("log", "truth"):
            os.mkdir(os.path.join(self.directory, name), 0o755)
        # Where the command runs pgusher: the person's own configuration would lead it to another server.
        with open(os.path.join(self.directory, "pgusher.toml"), "w", encoding="ascii") as file:
            file.write("# Nothing is needed here: pgusher finds the server and the jobs of the demo by itself.\n")
        shutil.copytree(_ACTORS, self._home, ignore=shutil.ignore_patterns("__*__*"))
        self._pause(0)
        server, told = self._start_server()
        yield told
        self._pause(0)
        # All are started before any is waited for: most of their time is the interpreter's start.
        planned = crontab.jobs(time.localtime())
        cron, daemon = self._start_cron(server, planned)
        api = self._start_api("shop-api", server, WORKERS)
        self._pause(0)
        self._seat_people(server)
        yield self._await_hangs(planned, cron, daemon)
        yield self._await_api(api)
        yield self._await_people()
        yield self._fill(server)
        yield self._refuse(server)

    def again(self) -> Event:
        """Start the back end that was refused once more, as slots have been given back, and one written with Database.

        Raises StagingError and Ended.
        """
        if self.server is None:
            raise StagingError("there is no server to start a back end for")
        began = time.monotonic()
        before = {note.pid for note in read_notes(self._truth, "shop_api")}
        second = self._start_api("shop-api-2-again", self.server, workers=1)
        orders = self._start_orders(self.server)

        def filled() -> Note | None:
            second.check()
            notes = (note for note in read_notes(self._truth, "shop_api") if note.pid not in before)
            return next((note for note in notes if len(note.sessions) == POOL), None)

        note = self._wait("the start of the second back end", filled, lambda: second.log)
        seconds = round(time.monotonic() - began, 1)
        told = {"sessions": len(note.sessions), "seconds": seconds, "orders": self._ask_orders(orders)}
        return "started", told

    def directories(self) -> tuple[str, ...]:
        """The directories outside of our own that go with the staging, as far as they are known."""
        if self.server is None or not self.server.directory:
            return ()
        # A cache that the environment names is there to stay.
        cache = () if ENVIRONMENT in os.environ else (shared_cache().directory(self.server.account),)
        return (self.server.directory, *cache)

    def close(self) -> None:
        """Stop the server and remove the directory."""
        if self.server is not None:
            self.server.stop()
        self._keeper.close()

    # The server.

    def _start_server(self) -> tuple[EmbeddedServer, Event]:
        describe = EmbeddedServer(max_connections=MAX_CONNECTIONS, auth="password", cluster_name="pgusher demo")
        describe.settings.update(world.write_access(self.directory, describe.os_user))
        self.server = server = describe
        server.start()
        self._pgpass, passwords = world.write_passwords(self.directory)
        version, self._slots = world.furnish(server, passwords)
        base = {"PATH": os.environ.get("PATH", os.defpath), "HOME": os.path.expanduser("~"), "LANG": "C.UTF-8"}
        self._env = {**base, **self._marks}
        facts = {
            "max_connections": MAX_CONNECTIONS,
            "ordinary": self._slots,
            "socket": server.socket_dir,
            "log": server.log_path,
        }
        return server, ("server", {"version": version, "port": server.port, **facts})

    def _log(self, name: str) -> str:
        return os.path.join(self.directory, "log", f"{name}.log")

    def _login(self, role: str, server: EmbeddedServer) -> dict[str, str]:
        return {**self._env, **world.credentials(role, server.port, self._pgpass, host=server.addresses[0])}

    def _start(self, name: str, argv: list[str], env: Mapping[str, str]) -> Part:
        part = Part(name, argv, cwd=self._home, env=env, log=self._log(name))
        self._parts.append(part)
        return part

    # Cron and its jobs.

    def _start_cron(self, server: EmbeddedServer, planned: tuple[crontab.Job, ...]) -> tuple[crontab.Cron, Part]:
        login = self._login(world.JOBS, server)
        wanted = {name: login[name] for name in login if name.startswith("PG")}  # its marks among them
        cron = crontab.write(self.directory, sys.executable, wanted, planned)
        if cron.real:
            return cron, self._start("cron", list(cron.argv), self._env)
        return cron, self._start("cron_stand_in", list(cron.argv), {**self._env, "PYTHONPATH": _SOURCE})

    def _await_hangs(self, planned: tuple[crontab.Job, ...], cron: crontab.Cron, daemon: Part) -> Event:
        """Until each run holds a session in each database, has logged a traceback, and its main thread stands still."""
        runs = sum(job.runs for job in planned)
        parts = {os.path.splitext(job.script)[0]: job.runs for job in planned}

        def notes() -> list[Note] | None:
            daemon.check()
            found = [note for part in parts for note in read_notes(self._truth, part)]
            ready = [note for note in found if len(note.sessions) == len(world.DATABASES)]
            self._progress("runs", done=len(ready), of=runs)
            return found if len(ready) == runs else None

        found = self._wait("the cron jobs", notes, self._job_logs)

        def raised() -> bool:
            return all(self._job_log(part).count("Traceback") >= count for part, count in parts.items())

        self._wait("the exceptions of the cron jobs", raised, self._job_logs)
        before: dict[int, int] = {}

        def still() -> bool:
            nonlocal before
            now = {note.pid: switches(note.pid) for note in found}
            same, before = now == before, now
            return same

        self._wait("the hang of the cron jobs", still, self._job_logs, every=0.4)
        cron.settle()
        sessions = sum(len(note.sessions) for note in found)
        counts = [(job.script, job.runs, job.schedule) for job in planned]
        return "jobs", {"real": cron.real, "why": cron.why, "jobs": counts, "sessions": sessions}

    def _job_log(self, part: str) -> str:
        try:
            with open(self._log(part), encoding="utf-8", errors="backslashreplace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _job_logs(self) -> str:
        return "\n".join(self._job_log(name)[-1000:] for name in ("version_history", "stock_report", "price_import"))

    # The back end.

    def _start_api(self, name: str, server: EmbeddedServer, workers: int, patience: int = 30) -> Part:
        argv = [sys.executable, "-m", "uvicorn", "shop_api:app", "--port", "0"]
        if workers > 1:  # with one, uvicorn serves in its first process, and ends when the start fails
            argv += ["--workers", str(workers)]
        return self._start(name, argv, {**self._login(world.API, server), "POOL_TIMEOUT": str(patience)})

    def _await_api(self, api: Part) -> Event:
        """Until every worker's pool is filled and an answer has come over HTTP."""

        def filled() -> int | None:
            api.check()
            notes = read_notes(self._truth, "shop_api")
            self._progress("api", done=sum(len(note.sessions) for note in notes), of=WORKERS * POOL)
            full = len(notes) == WORKERS and all(len(note.sessions) == POOL for note in notes)
            return sum(len(note.sessions) for note in notes) if full else None

        sessions = self._wait("the back end's pools", filled, lambda: api.log)
        self._await_answer("the back end", api)
        return "api", {"workers": WORKERS, "pool": POOL, "sessions": sessions}

    def _await_answer(self, what: str, api: Part) -> str:
        """Until it answers over HTTP; the address."""

        def address() -> str | None:
            api.check()
            return web.address(api.log)

        url = self._wait(f"the address of {what}", address, lambda: api.log)
        self._wait(f"an answer of {what}", lambda: web.answers(f"{url}/products"), lambda: api.log)
        return url

    # The one that is written with Database.

    def _start_orders(self, server: EmbeddedServer) -> Part:
        shared = os.path.join(self.directory, "shared")  # nothing of it is to be left in the user's own
        os.makedirs(shared, mode=0o700, exist_ok=True)
        login = self._login(world.API, server)
        words = {"host": login["PGHOST"], "port": login["PGPORT"], "user": login["PGUSER"], "dbname": "shop"}
        env = {
            **self._env,
            "PYTHONPATH": _SOURCE,
            "PGPASSFILE": login["PGPASSFILE"],
            "PGUSHER_SHARED": shared,
            "PGUSHER_ORDERS_DSN": " ".join(f"{word}={value}" for word, value in words.items()),
            "PGUSHER_ORDERS_SLOTS": str(BUDGET),
        }
        argv = ["-m", "uvicorn", "pgusher.examples.orders_api:app", "--port", "0", "--workers", str(WORKERS)]
        return self._start("orders-api", [sys.executable, *argv], env)

    def _ask_orders(self, orders: Part) -> dict[str, int]:
        """Many requests at once: how many were answered, and the slots that it then has, by the server's own count."""
        url = self._await_answer("the back end with Database", orders)
        answered = web.ask(f"{url}/products", REQUESTS)
        held = world.count_sessions(self.server, "orders-api %") if self.server is not None else 0
        if answered < REQUESTS or not 0 < held <= BUDGET:
            what = f"{answered} of {REQUESTS} requests answered, {held} sessions, a budget of {BUDGET}"
            raise StagingError(f"the back end with Database: {what}", detail=orders.log[-2000:].strip() or None)
        return {"workers": WORKERS, "budget": BUDGET, "asked": REQUESTS, "answered": answered, "sessions": held}

    # People.

    def _seat_people(self, server: EmbeddedServer) -> None:
        psql = os.path.join(server.bin_dir, "psql")
        if not os.path.exists(psql):
            return
        idle = {**self._env, "PGHOST": server.socket_dir, "PGPORT": str(server.port), "PGUSER": world.IDLE_PERSON}
        change = ["begin;", "update product set price = 8 where id = 4;"]
        self._people = [
            Person(psql, world.IDLE_PERSON, "report", idle, ["select count(*) from stock_report;"]),
            Person(psql, world.BUSY_PERSON, "shop", self._login(world.BUSY_PERSON, server), change),
        ]

    def _await_people(self) -> Event:
        """Until their prompts show that everything was carried out, and which session is whose."""
        for person in self._people:

            def seated(person: Person = person) -> int | None:
                if (code := person.process.poll()) is not None:
                    raise StagingError(f"psql has ended with exit code {code}", detail=person.screen[-1000:])
                return person.session

            def screen(person: Person = person) -> str:
                return person.screen

            session = self._wait(f"psql of {person.role}", seated, screen)
            facts = {"part": person.role, "pid": person.process.pid, "sessions": [session]}
            _write_note(self._truth, facts)
        sessions = [(person.role, person.in_transaction) for person in self._people]
        return "people", {"people": sessions, "sessions": len(sessions)}

    # Full.

    def _fill(self, server: EmbeddedServer) -> Event:
        """Until the stand-in for Grafana has been refused, and the notes of all add up to every ordinary slot."""
        argv = [sys.executable, "grafana_stand_in.py"]
        env = {**self._login(world.GRAFANA, server), "PYTHONPATH": _SOURCE, "GRAFANA_STAND_IN": self._grafana}
        grafana = self._start("grafana_stand_in", argv, env)

        def full() -> Note | None:
            grafana.check()
            notes = read_notes(self._truth)
            own = next((note for note in notes if note.part == "grafana_stand_in"), None)
            taken = sum(len(note.sessions) for note in notes)
            self._progress("grafana", done=taken, of=self._slots)
            return own if own is not None and own.facts.get("refused") and taken == self._slots else None

        note = self._wait("a full server", full, lambda: grafana.log)
        return "grafana", {
            "limit": GRAFANA_LIMIT,
            "sessions": len(note.sessions),
            "taken": self._slots,
            "of": self._slots,
        }

    def _refuse(self, server: EmbeddedServer) -> Event:
        """A second back end, the same program: its real refusal, and its end."""
        second = self._start_api("shop-api-2", server, workers=1, patience=1)

        def refused() -> str | None:
            found = re.search(r"FATAL: .*", second.log)
            words = found[0].strip() if found else ""
            return words if second.process.poll() is not None and words else None

        words = self._wait("the refusal of a second back end", refused, lambda: second.log)
        return "refused", {"words": words, "code": second.process.returncode}

    def _progress(self, part: str, done: int, of: int) -> None:
        """Tell how far a part is, if it is further than it was."""
        if self._last_progress != (part, done):
            self._last_progress = (part, done)
            self._tell("progress", part=part, done=done, of=of)

    def _wait(
        self,
        what: str,
        probe: Callable[[], T | None],
        log: Callable[[], str],
        *,
        seconds: float = 30.0,
        every: float = 0.05,
    ) -> T:
        """What `probe` gives, as soon as it gives something. Raises StagingError with the log if that takes longer."""
        deadline = time.monotonic() + seconds
        while not (found := probe()):
            if time.monotonic() > deadline:
                raise StagingError(f"{what}: not there after {seconds:.0f} s", detail=log()[-2000:].strip() or None)
            self._pause(every)
        return found


def _write_note(directory: str, facts: Mapping[str, Any]) -> None:
    """As actors/truth.py does, for a program that is not ours."""
    import json

    path = os.path.join(directory, f"{facts['part']}-{facts['pid']}")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(facts, file)
    os.replace(path + ".new", path + ".json")
