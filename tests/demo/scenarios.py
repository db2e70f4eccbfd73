"""What is done to a demo in a world of its own. Each returns facts for its test to judge."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from pgusher.demo import record
from pgusher.demo.parts import read_notes
from pgusher.demo.reaper import is_keeper, parent
from tests.demo.sealed import Run, World, cmdline, pids, words


def normal(world: World) -> dict[str, Any]:
    """Nobody disturbs it."""
    began = time.monotonic()
    run = world.start()
    run.until("opens dashboards")
    inside = world.look()
    code = run.wait()
    seconds = time.monotonic() - began
    counts = {kind: len(inside[kind]) - len(world.before[kind]) for kind in inside}
    return {**said(run, code), "left": world.left(), "seconds": seconds, "inside": counts}


def signalled(world: World, until: str, to: str, number: str, terminal: bool = False) -> dict[str, Any]:
    """A signal comes when the command has said `until` ("" for: as soon as its keeping process runs)."""
    run = world.start(terminal=terminal)
    host = run.host
    if until:
        run.until(until)
    inside = len(world.look()["processes"])
    if terminal and run.terminal is not None:
        os.write(run.terminal, b"\x03")  # as a person does it: the terminal sends SIGINT to all in the foreground
    else:
        for pid in {"command": [run.process.pid], "host": [host], "both": [run.process.pid, host]}[to]:
            os.kill(pid, signal.Signals[number])
    code = run.wait()
    left = world.left()
    return {**said(run, code), "inside": inside, "left": left}


def stubborn(world: World) -> dict[str, Any]:
    """Ctrl-C again and again while it ends."""
    run = world.start()
    run.until("PostgreSQL .* on port")
    while run.process.poll() is None:
        os.kill(run.process.pid, signal.SIGINT)
        run.read(0.02)
    return {**said(run, run.wait()), "left": world.left()}


def crashed(world: World) -> dict[str, Any]:
    """A part of the staging ends in the middle of it."""
    run = world.start()
    run.until("PostgreSQL .* on port")
    while not find(b"shop_api:app"):
        run.read(0.01)
    for pid in find(b"shop_api:app"):
        os.kill(pid, signal.SIGKILL)
    return {**said(run, run.wait()), "left": world.left()}


def orphaned(world: World) -> dict[str, Any]:
    """All that watches over it is killed at once; what is left is ended by --stop."""
    run = world.start()
    run.until("psql is idle")
    watching = [run.process.pid, run.host, *find_keepers()]
    for pid in watching:  # stopped first: none may see another one's end
        os.kill(pid, signal.SIGSTOP)
    for pid in watching:
        os.kill(pid, signal.SIGKILL)
    run.wait()
    time.sleep(0.5)
    between = world.left(0.0)
    done = world.demo("--stop")
    return {"between": between.get("processes", []), "code": done.returncode, "err": done.stderr, "left": world.left()}


def kept(world: World) -> dict[str, Any]:
    """It is kept, outlives its terminal, and is ended by --stop."""
    began = time.monotonic()
    run = world.start("--keep", terminal=True)
    run.until("--stop [0-9]+")
    code = run.process.wait(30)
    run.read(0.1)
    seconds = time.monotonic() - began
    assert run.terminal is not None
    os.close(run.terminal)  # the terminal is closed: whatever still had it would get SIGHUP
    (found,) = records(world)
    notes = read_notes(os.path.join(found.directory, "truth"))
    looked = world.pgusher("--json", "--port", str(found.port), cwd=found.directory)
    facts = {
        **said(run, code),
        "seconds": seconds,
        "port": found.port,
        "notes": [dict(note.facts) for note in notes],
        "json": looked.stdout,
        "json_code": looked.returncode,
        "json_err": looked.stderr,
        "parents": {str(note.pid): ancestors(note.pid) for note in notes},
        "terminals": {str(note.pid): terminal_of(note.pid) for note in notes},
        "other_port": world.demo("--stop", "1").returncode,
    }
    done = world.demo("--stop")
    return {**facts, "stop_code": done.returncode, "stop_err": done.stderr, "left": world.left()}


def kept_behind_a_pipe(world: World) -> dict[str, Any]:
    """It is kept, and whoever reads what it says comes to the end of it."""
    run = world.start("--keep")
    code = run.wait()  # until the pipes are closed too
    ports = [found.port for found in records(world)]
    done = world.demo("--stop")
    return {**said(run, code), "kept": ports, "stop_code": done.returncode, "left": world.left()}


def said(run: Run, code: int) -> dict[str, Any]:
    """What it said, and its exit code."""
    return {"code": code, "err": run.err.decode("utf-8", "replace"), "out": run.out.decode("utf-8", "replace")}


def records(world: World) -> list[record.Record]:
    """The stagings of the world's user; read as that user, since only its own count."""
    before = os.geteuid()
    os.seteuid(world.account.pw_uid)
    try:
        return record.records()
    finally:
        os.seteuid(before)


def find(word: bytes) -> list[int]:
    """The processes with that word on their command line."""
    return [pid for pid in pids() if word in cmdline(pid).split(b"\0")]


def find_keepers() -> list[int]:
    """The keepers: of the server, of its template, and of the staging."""
    return [pid for pid in pids() if is_keeper(pid)]


def ancestors(pid: int) -> list[str]:
    """The command lines of its parents, the nearest first, as far as the world reaches."""
    found = []
    while pid := parent(pid):
        found.append(words(pid))
    return found


def terminal_of(pid: int) -> int:
    """The device number of its controlling terminal; 0 for none."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[4])
