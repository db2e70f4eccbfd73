"""Waiting for something outside of Python: a peer, a file lock, a pipe, a person."""

from __future__ import annotations

from pgusher.diagnose.hangs.elsewhere import holder_of
from pgusher.diagnose.hangs.scene import JOINING, Draft, Judge, Scene
from pgusher.diagnose.hangs.waits import Wait, at_line, repeats
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Evidence

_BROKERS = frozenset({"5672", "5671", "6379", "6380", "9092", "9093", "1883", "8883", "4222", "61613", "2181"})
"""Ports of message brokers (AMQP, Redis, Kafka, MQTT, NATS, STOMP, ZooKeeper): to wait there for a message is work."""
_QUIET_MS = 5_000
"""A peer that spoke within this time is at work."""
_POLL_MS = 900_000
"""No HTTP answer takes longer: proxies and load balancers cut a long poll off after minutes."""


def judge(scene: Scene, inner: Judge) -> Draft | None:
    """The mechanism, when a thread waits for something outside. `inner` judges the process that has a file's lock."""
    stopped = _stopped(scene)
    if stopped is not None:
        return stopped
    for wait in scene.threads:
        if not scene.stuck(wait) and wait.what != "debugger":
            continue
        make = {
            "debugger": _debugger,
            "input": _input,
            "pipe.write": _pipe,
            "pipe.read": _pipe_read,
            "flock": lambda scene, wait: _flock(scene, wait, inner),
            "open": _open,
            "socket": _socket,
        }.get(wait.what)
        draft = make(scene, wait) if make is not None else None
        if draft is not None:
            return draft
    return None


def _stopped(scene: Scene) -> Draft | None:
    """A process that a signal stopped (Ctrl-Z, SIGSTOP), or that a debugger holds."""
    main = scene.main
    if main is None or main.thread.state not in ("T", "t"):
        return None
    traced = main.thread.state == "t"
    return Draft(
        "process-traced" if traced else "process-stopped",
        Certainty.PROVEN,
        main,
        "is held by a debugger that traces the process" if traced else "was stopped by a signal, and is not continued",
        "a debugger" if traced else "SIGCONT",
        None,
        (Evidence(f"the kernel says that the process is in state {main.thread.state}"),),
        alive=True,
    )


def _open(_scene: Scene, wait: Wait) -> Draft:
    return Draft(
        "fifo-open",
        Certainty.LIKELY,
        wait,
        "waits in open() for somebody at the other end of a FIFO",
        "a FIFO",
        "a process that opens the FIFO's other end",
        (Evidence("it sleeps in openat(), as only the opening of a FIFO does for long"),),
    )


def _debugger(_scene: Scene, wait: Wait) -> Draft:
    return Draft(
        "debugger-prompt",
        Certainty.PROVEN,
        wait,
        "waits at a debugger's prompt for a person",
        "a command for the debugger",
        "a person at the terminal",
        (Evidence("the debugger (bdb, pdb) is on its stack"),),
        alive=True,
    )


def _input(scene: Scene, wait: Wait) -> Draft | None:
    file = next((one for one in wait.thread.files if one.kind in ("terminal", "pipe", "other", "file")), None)
    if file is None or (scene.main is wait and len(scene.threads) == 1 and _is_shell(scene, wait)):
        return None
    asks = {"input", "getpass", "getpass.getpass"} & set(at_line(scene.clues, wait.user))
    if file.kind != "terminal" and (not asks or repeats(scene.clues, wait.thread)):
        return None  # a filter: were nobody left to write, it would have read the end of its input
    where = "a terminal" if file.kind == "terminal" else "standard input, which is no terminal"
    return Draft(
        "input-prompt",
        Certainty.LIKELY,
        wait,
        f"waits for input from {where}",
        file.name or "standard input",
        "somebody who answers",
        (Evidence(f"it reads descriptor {file.fd} ({file.name})"),),
    )


def _is_shell(_scene: Scene, wait: Wait) -> bool:
    """An interactive Python: a person's, and where it waits is where it should."""
    return wait.user is None or wait.user.file in ("<stdin>", "<console>") or wait.user.file.startswith("<ipython")


def _pipe(scene: Scene, wait: Wait) -> Draft:
    file = next(one for one in wait.thread.files if one.kind in ("pipe", "terminal"))
    error = file.fd == 2
    stream = {1: "standard output", 2: "standard error"}.get(file.fd, f"descriptor {file.fd}")
    others = tuple(pid for pid in file.holders if pid != scene.process.pid)
    return Draft(
        "stderr-pipe-full" if error else "pipe-full",
        Certainty.PROVEN,
        wait,
        f"waits to write to {stream}: its pipe is full, and nobody reads it",
        file.name,
        "somebody who reads the pipe",
        (Evidence(f"write({file.fd}) does not return: a full pipe is the only reason"),),
        pids=others,
    )


def _pipe_read(scene: Scene, wait: Wait) -> Draft | None:
    file = wait.thread.files[0]
    others = tuple(pid for pid in file.holders if pid != scene.process.pid)
    if others or wait.thread.main:
        return None  # whoever writes is judged by itself
    return Draft(
        "pipe-read-endless",
        Certainty.GUESSED,
        wait,
        "waits to read from a pipe that no other process known writes to",
        file.name,
        "somebody who writes to the pipe",
        (Evidence(f"it reads descriptor {file.fd} ({file.name})"),),
    )


def _flock(scene: Scene, wait: Wait, inner: Judge) -> Draft | None:
    file = wait.thread.files[0] if wait.thread.files else None
    name = file.name if file is not None else "a file"
    holders = file.holders if file is not None else ()
    end = holder_of(scene, holders, inner)
    if end.works:
        return None  # a turn that will come
    by = f", which process {holders[0]} holds" if holders else ""
    says = f"waits for the lock of {name}{by}{end.says}"
    told = Evidence(f"/proc/locks: held by process {holders[0]}" if holders else "it sits in flock()")
    return Draft(
        "file-lock", end.certainty, wait, says, name, None, (told, *end.evidence), pids=(*holders, *end.pids)
    )  # fmt: skip


def _socket(scene: Scene, wait: Wait) -> Draft | None:
    if scene.session_of(wait.thread) is not None:
        return None  # a session of the server: the database's family tells more
    files = [one for one in wait.thread.files if one.kind in ("tcp", "unix", "socket")]
    tcp = next((one for one in files if one.kind == "tcp" and one.peer), None)
    if scene.serves or tcp is None or tcp.peer is None or tcp.peer.rpartition(":")[2] in _BROKERS:
        return None
    waited_for = _waited_for(scene, wait)
    if tcp.silent_ms is not None and tcp.silent_ms < _QUIET_MS and not waited_for:
        return None
    # What waits in a loop of its own consumes what comes, whenever it comes: only an HTTP answer has to come at all.
    asks = any(frame.file.endswith("/http/client.py") for frame in wait.thread.frames)
    polls = repeats(scene.clues, wait.thread) and (tcp.silent_ms or 0) < _POLL_MS
    if repeats(scene.clues, wait.thread) and not asks:
        return None
    evidence = [Evidence(f"{wait.thread.syscall} on a connection to {tcp.peer} has no time limit")]
    if tcp.silent_ms is not None:
        evidence.append(Evidence(f"nothing came from {tcp.peer} for {tcp.silent_ms / 1000:.0f} s"))
    return Draft(
        "socket-read-endless",
        Certainty.GUESSED if polls else Certainty.LIKELY,
        wait,
        f"waits for an answer from {tcp.peer} without a timeout",
        tcp.peer,
        "a timeout on the socket",
        tuple(evidence),
    )


def _waited_for(scene: Scene, wait: Wait) -> bool:
    return any(one is not wait and one.what in JOINING for one in scene.threads)
