"""The process that keeps a staging: `python -m pgusher.demo.host`, started by the command, which tells the story.

It is the parent of everything that is staged, and what is orphaned comes to it. It is nobody's child itself, so that
the staged services do not descend from a person's terminal. It writes one JSON object a line to its standard output. It
ends the staging on SIGTERM, and when its standard input ends, as it does when the command dies in whatever way; after
the line `keep` on its standard input only on SIGTERM. After the line `again` it starts the back end that was refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from typing import TYPE_CHECKING

from pgusher.demo import reaper
from pgusher.demo.record import Record, write
from pgusher.errors import PgusherError

if TYPE_CHECKING:
    from pgusher.demo.staging import Staging


class Host:
    """Waits, tells, and ends."""

    def __init__(self) -> None:
        """Take over the signals. From here on SIGTERM is seen at the next pause."""
        self._ending = False
        self._kept = False
        self._again = False
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._end)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # they are the command's to hear
        # The command blocks signals while it starts us, and a mask is inherited.
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        reaper.adopt()

    def _end(self, _number: int, _frame: object) -> None:
        self._ending = True

    def tell(self, event: str, **facts: object) -> None:
        """One line to the command; nobody may be there any more."""
        with contextlib.suppress(OSError):
            os.write(1, json.dumps({"event": event, **facts}).encode() + b"\n")

    def pause(self, seconds: float | None) -> None:
        """Wait, at most that long. Raises Ended when the staging is to end."""
        from pgusher.demo.staging import Ended

        if self._ending:
            raise Ended
        ends = [self._wake] if self._kept else [self._wake, 0]
        ready = select.select(ends, (), (), seconds)[0]
        if 0 in ready:
            said = os.read(0, 100)
            self._kept = self._kept or b"keep\n" in said
            self._again = self._again or b"again\n" in said
            if not said:
                raise Ended
        if self._ending:
            raise Ended

    def serve(self, staging: Staging) -> None:
        """Stage, and stay until the end is wanted. Raises what the staging raises."""
        self.write(staging)
        self.tell("began", directory=staging.directory, cookie=staging.cookie)
        for event, facts in staging.steps():
            self.write(staging)
            self.tell(event, **facts)
        self.tell("staged", processes=len(self.staged()))
        while True:
            was = self._kept
            self.pause(None)
            if self._kept != was:
                self.write(staging)
                self.tell("kept")
            if self._again:
                self._again = False
                event, facts = staging.again()
                self.write(staging)
                self.tell(event, **facts)

    def staged(self) -> list[reaper.Identity]:
        """Everything below us but the server and its keepers."""
        return reaper.descendants(os.getpid(), spare=reaper.is_keeper)

    def write(self, staging: Staging) -> None:
        """Bring the record up to date."""
        me = reaper.identity(os.getpid())
        if me is None:
            raise PgusherError("/proc does not show this process")
        staged = self.staged()
        every = reaper.descendants(os.getpid())
        server = tuple(process for process in every if process not in staged)
        port = staging.server.port if staging.server is not None else 0
        write(
            Record(
                staging.directory,
                staging.cookie,
                reaper.boot_id(),
                me,
                tuple(staged),
                server,
                staging.directories(),
                port,
                self._kept,
            )
        )

    def close(self, staging: Staging) -> None:
        """End every process, stop the server, remove the directory, and say what is left."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ended, left = reaper.end_all(self.staged)
        staging.close()
        self.tell("ended", processes=ended, left=[process.pid for process in left])


def detach(directory: str) -> None:
    """Let go of the person's terminal and working directory: a kept staging must not hold either of them."""
    log = os.open(os.path.join(directory, "host.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)
    os.chdir("/")


def main() -> int:
    """Stage the incident, and end it. 0 when it was staged, 1 when it could not be."""
    if os.fork():
        os._exit(0)
    host = Host()
    # After the signals: the imports take a moment.
    from pgusher.demo.parts import StagingError
    from pgusher.demo.staging import Ended, Staging

    # What is kept must not hold the person's stream either: `pgusher demo --keep | tee log` would never end. Faults are
    # told to the command, by `tell`.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        staging = Staging(host.tell, host.pause)
    except PgusherError as error:
        host.tell("failed", message=error.message, detail=error.detail, hint=error.hint)
        return 1
    try:
        detach(staging.directory)
        host.serve(staging)
    except Ended:
        pass
    except PgusherError as error:
        host.tell("failed", message=error.message, detail=error.detail, hint=error.hint)
        return 1
    except Exception as error:  # noqa: BLE001  # whatever it was, it is told, and everything is ended
        problem = StagingError("the staging broke off", detail=f"{type(error).__name__}: {error}")
        host.tell("failed", message=problem.message, detail=problem.detail, hint=None)
        return 1
    finally:
        host.close(staging)
    return 0


if __name__ == "__main__":
    sys.exit(main())
