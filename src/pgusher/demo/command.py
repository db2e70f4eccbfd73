"""`pgusher demo`: stage the incident, show what pgusher says of it, then end it all, or leave it all running."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from pgusher.demo import reaper, story
from pgusher.demo.crontab import read_settings
from pgusher.demo.director import Director, Interrupted, kept, leftovers
from pgusher.demo.parts import GRAFANA_ACCESS, StagingError, read_notes
from pgusher.demo.record import Record, clear
from pgusher.demo.record import stop as stop_record
from pgusher.demo.typed import Pgusher, one_of, target_of
from pgusher.demo.world import API, JOBS
from pgusher.errors import PgusherError, UsageError

_NEEDED = ("fastapi", "uvicorn", "psycopg", "psycopg_pool")


class Narrator:
    """Tells the story on the standard error output: lines with the time since the start, and one that changes."""

    def __init__(self, out: TextIO, began: float) -> None:
        self._out = out
        self._began = began
        self._terminal = out.isatty()
        self._open = False

    def lines(self, lines: Sequence[str]) -> None:
        """Tell; the first of the lines carries the time."""
        self._clear()
        for index, line in enumerate(lines):
            mark = f"{time.monotonic() - self._began:5.1f} s" if index == 0 else " " * 7
            self._write(f"{mark}  {line}\n")

    def waiting(self, line: str) -> None:
        """Say what is waited for, on a line that the next one replaces; nothing where lines cannot be replaced."""
        if self._terminal:
            self._clear()
            self._write(f"         {line} ..."[: _columns() - 1])
            self._open = True

    def plain(self, line: str = "") -> None:
        """A line without a time."""
        self._clear()
        self._write(line + "\n")

    def _clear(self) -> None:
        if self._open:
            self._write("\r\x1b[K")
            self._open = False

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):  # the terminal is gone: what was staged is still to be ended
            pass


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80


def require() -> None:
    """Raises PgusherError when something that the demo needs is not there, and says what to install."""
    if not sys.platform.startswith("linux"):
        raise PgusherError("the demo cannot run here: it needs Linux", detail="pgusher reads /proc and Linux's sockets")
    missing = [name.replace("_", "-") for name in _NEEDED if importlib.util.find_spec(name) is None]
    hint = "pip install 'pgusher[demo]'"
    if missing:
        noun = "package" if len(missing) == 1 else "packages"
        raise PgusherError(f"the demo cannot start: {len(missing)} {noun} missing: {', '.join(missing)}", hint=hint)
    try:
        importlib.import_module("psycopg")  # never by `import` in what the command line loads
    except ImportError as error:  # it is there, but finds no libpq
        raise PgusherError(
            "the demo cannot start: psycopg does not load", detail=str(error).strip(), hint=hint
        ) from None
    from pgusher.demo.binaries import binaries

    if not binaries():
        detail = "looked for PostgreSQL in Python's packages and in the system's usual places"
        raise PgusherError("the demo cannot start: there is no PostgreSQL server on this host", detail, hint)


def run(*, keep: bool = False, out: TextIO | None = None) -> int:
    """Stage the incident, and show pgusher on it. The exit code: 0, or 128 + the signal that ended it.

    `keep`: leave it running. `out` is where the story goes, standard error by default; pgusher's own output goes to our
    standard output. Raises PgusherError when the staging fails; nothing is left behind then either.
    """
    require()
    narrator = Narrator(out or sys.stderr, time.monotonic())
    _clear_leftovers(narrator)
    narrator.plain("The incident, staged with real processes. Ctrl-C ends it at any time.\n")
    director = Director()
    try:
        server = _tell(director, narrator)
        pgusher = _show(director, narrator, server["port"])
        if keep:
            director.keep()
            _tell_kept(narrator, director.directory, server["port"], server["socket"])
        else:
            file = _budget(director, narrator, pgusher)
            _free(director, narrator, pgusher)
            _limits(director, narrator, pgusher, file)
            _together(director, narrator, pgusher, server["log"])
    except Interrupted as interrupted:
        return 128 + interrupted.number
    else:
        return 0
    finally:
        left = director.close()
        _tell_end(narrator, director.ended, left)


def _tell(director: Director, narrator: Narrator) -> story.Event:
    """Tell the story while it is staged; the event of the server. Raises StagingError and Interrupted."""
    server: story.Event = {}
    while (event := director.next()) is not None:
        name = event["event"]
        if name == "progress":
            narrator.waiting(story.waiting(event))
        elif name == "failed":
            raise StagingError(event["message"], detail=event["detail"], hint=event["hint"])
        elif name == "staged":
            return server
        elif name in story.TOLD:
            server = event if name == "server" else server
            narrator.lines(story.TOLD[name](event))
    raise StagingError("the staging has ended by itself")


def _show(director: Director, narrator: Narrator, port: int) -> Pgusher:
    """Run pgusher as a newcomer would, and show what it says, whatever it says."""
    target = target_of(port)
    if target:
        narrator.plain()
        narrator.plain("Other PostgreSQL servers run on this host, so the port is named.")
    pgusher = Pgusher(director, narrator, target)
    show = pgusher.show
    show()
    # By the name that it has just shown; the staging itself knows the pid only.
    holder = pgusher.holder_of(one_of(director.directory))
    if holder is not None:
        show("who", holder)
    narrator.plain()
    narrator.plain("Now why. (script/grafana_stand_in.py is the stand-in for Grafana, its limit left at 100.)")
    # They hang since seconds here, not since weeks: what tells that from being slow is to watch them for a while.
    show("why", "--sample", "20")
    return pgusher


def _budget(director: Director, narrator: Narrator, pgusher: Pgusher) -> str:
    """Who may take how many, and what would fit; the configuration. What no program tells of itself is declared."""
    with open(os.path.join(director.directory, GRAFANA_ACCESS), encoding="ascii") as told:
        access = json.load(told)
    token = os.path.join(director.directory, "grafana.token")
    with open(os.open(token, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as written:
        written.write(access["token"] + "\n")
    file = os.path.join(director.directory, "budget.toml")
    holder = pgusher.holder_of(one_of(director.directory, "shop_api"))
    with open(file, "w", encoding="utf-8") as written:
        written.write(f"[grafana]\nurl = {json.dumps(access['url'])}\ntoken_file = {json.dumps(token)}\n")
        written.write(f"[budget.shop-api]\ntotal = 20\nminimum = 20\nholder = {json.dumps(holder or 'shop_api')}\n")
    narrator.plain()
    narrator.plain("Who may take how many? The stand-in for Grafana is asked by its API, which is a stand-in, too;")
    narrator.plain("the back end's 2 x 10 are declared in budget.toml.")
    pgusher.show("budget", "--config", file)
    pgusher.show("budget", "plan", "--config", file)
    return file


def _limits(director: Director, narrator: Narrator, pgusher: Pgusher, file: str) -> None:
    """Shares that fit for all that is to run together, set by the server and by the API of the stand-in for Grafana."""
    declared = (("shop-api-2", 10, API), ("orders-api", 4, API), ("jobs", 9, JOBS))
    with open(file, "a", encoding="utf-8") as written:
        written.writelines(
            f"[budget.{name}]\ntotal = {total}\nminimum = {total}\nrole = {json.dumps(role)}\n"
            for name, total, role in declared
        )
    narrator.plain()
    narrator.plain("And so that nobody is refused any more: shares that fit for all that is to run together. The")
    narrator.plain("refused back end, one with pgusher's Database and the jobs are declared in budget.toml as well.")
    _rest(director.directory)
    pgusher.plan_and_apply("budget", "apply", "--config", file)


def _rest(directory: str, seconds: float = 15.0) -> None:
    """Until the panels of the stand-in have been answered: what is at work in that moment counts as needed."""
    noted = (one.facts.get("at") for one in read_notes(os.path.join(directory, "truth"), "grafana_stand_in"))
    before, deadline = next(noted, None), time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = next(iter(read_notes(os.path.join(directory, "truth"), "grafana_stand_in")), None)
        if now is None or now.facts.get("at") != before:
            return
        time.sleep(0.05)


_REFUSED = re.compile(r"FATAL: .*(?:too many c|remaining connection slots)")


def _refusals(log: str) -> int:
    """How often the server has refused a session for lack of slots, or by a limit, by its own log."""
    with open(log, encoding="utf-8", errors="backslashreplace") as file:
        return len(_REFUSED.findall(file.read()))


def _free(director: Director, narrator: Narrator, pgusher: Pgusher) -> None:
    """Give slots back as a person would: plan, read, confirm by name."""
    narrator.plain()
    narrator.plain("Now the slots back: a plan, which ends nothing, and what of it is confirmed by name.")
    pgusher.plan_and_apply("free")
    spared = pgusher.holder_of(one_of(director.directory, "stock_report"))
    if spared is not None:
        narrator.plain()
        narrator.plain("One job was spared, as it is in a transaction; by its name it can be ended, too.")
        pgusher.plan_and_apply("free", spared)


def _together(director: Director, narrator: Narrator, pgusher: Pgusher, log: str) -> None:
    """The load that had filled the server, with what was refused then: what the server's log has of refusals."""
    before = _refusals(log)
    narrator.plain()
    narrator.lines(story.TOLD["started"](director.again()))
    _guard(director, narrator, pgusher)
    _rest(director.directory)  # the dashboards once more, beside all of it
    narrator.plain()
    narrator.lines(story.refusals(before, _refusals(log) - before))


def _guard(director: Director, narrator: Narrator, pgusher: Pgusher) -> None:
    """The same three scripts once more, as they should have been started: each ends by itself, and says why."""
    narrator.plain()
    narrator.plain("And so that it cannot happen again: the same scripts, unchanged, under the guard.")
    program = os.path.basename(sys.executable)
    login = read_settings(director.directory)
    for script in ("version_history.py", "stock_report.py", "price_import.py"):
        began = time.monotonic()
        words = ("run", "--grace", "0.5s", "--", program, script)
        code = pgusher.show(*words, cwd=os.path.join(director.directory, "shop"), more=login)
        narrator.lines([f"{script} has ended after {time.monotonic() - began:.1f} s with exit code {code}"])
    pgusher.show("jobs")


# The end.


def _tell_kept(narrator: Narrator, directory: str, port: int, socket: str) -> None:
    narrator.plain()
    narrator.plain("It goes on running, and outlives this terminal. To play with it:")
    for line in (
        f"pgusher {' '.join(target_of(port))}".rstrip(),
        f"psql -h {socket} -p {port} -U postgres",
        f"cd {directory}; ls shop log",
        f"pgusher demo --stop      ends it; with several, this one: --stop {port}",
    ):
        narrator.plain(f"  {line}")


def _tell_end(narrator: Narrator, ended: Mapping[str, Any] | None, left: Sequence[reaper.Identity]) -> None:
    """What was ended, and what was not."""
    if ended is None:
        return
    still = [*ended["left"], *(process.pid for process in left)]
    rest = f"still there: {_pids(still)}" if still else "nothing is left behind"
    narrator.plain()
    narrator.lines([f"{ended['processes']} programs and the server were ended; {rest}"])


def _pids(pids: Sequence[int]) -> str:
    return ", ".join(f"pid {pid}" for pid in pids)


def _clear_leftovers(narrator: Narrator) -> bool:
    """End what an earlier demo left behind whose every keeping process was killed; whether there was any."""
    found = leftovers()
    for record in found:
        left = clear(record)
        rest = f"; still there: {_pids([process.pid for process in left])}" if left else ""
        narrator.plain(f"Ended what was left of an earlier demo in {record.directory}{rest}.")
    return bool(found)


def stop(port: int | None = None, *, out: TextIO | None = None) -> int:
    """End a staging that was kept; with several, the one on that port. Exit code 0, or 4 when something is still there.

    Raises UsageError when none is meant, or more than one could be.
    """
    narrator = Narrator(out or sys.stderr, time.monotonic())
    cleared = _clear_leftovers(narrator)
    found = [record for record in kept() if port in (None, record.port)]
    if not found and cleared and port is None:
        return 0
    if not found:
        where = "" if port is None else f" on port {port}"
        raise UsageError(f"no demo is running{where} that was started with --keep", detail=_ports(kept()))
    if len(found) > 1:
        hint = f"name one: pgusher demo --stop {found[0].port}"
        raise UsageError(f"{len(found)} demos are running", detail=_ports(found), hint=hint)
    count, left = stop_record(found[0])
    _tell_end(narrator, {"processes": count, "left": []}, left)
    return 4 if left else 0


def _ports(found: Sequence[Record]) -> str | None:
    return f"kept demos are on port {', '.join(str(record.port) for record in found)}" if found else None
