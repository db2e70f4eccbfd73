"""A real cron that runs only what a test tells it to: Debian's, on a private view of the world.

It is started in the foreground in a mount namespace of its own, where directories of ours lie over /etc/crontab,
/etc/cron.d, the users' crontabs and /run. So it reads none of this machine's crontabs, and meets no other cron.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.bed.holder import Holder

DAEMON = "/usr/sbin/cron"
FAKETIME = f"/usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1"

_MOUNTS = {
    "crontab": "/etc/crontab",
    "cron.d": "/etc/cron.d",
    "crontabs": "/var/spool/cron/crontabs",
    "run": "/run",
}


def why_no_cron() -> str:
    """Why a real cron cannot be run here; empty when it can."""
    if os.geteuid() != 0:
        return "a real cron needs root"
    missing = [path for path in (DAEMON, "/usr/bin/unshare") if not os.path.exists(path)]
    if missing:
        return f"a real cron needs {', '.join(missing)} (apt-get install cron)"
    return ""


needs_cron = pytest.mark.skipif(bool(why_no_cron()), reason=why_no_cron() or "there is one")


def why_no_hurry() -> str:
    """Why its clock cannot be made to run fast; empty when it can."""
    return "" if os.path.exists(FAKETIME) else "a cron in a hurry needs libfaketime (apt-get install faketime)"


def command(*words: str) -> str:
    """A command for a crontab line: quoted for the shell, and with % escaped, which would end it."""
    return shlex.join(words).replace("%", "\\%")


class Cron(Holder):
    """A cron daemon and its jobs; `pid` is the daemon's, the truth is its jobs'.

    `system` are lines for /etc/crontab (with a user field), `cron_d` files of such lines, `users` personal crontabs.
    `@reboot` lines run as soon as it has started, others at the full minute; with `hurry` a minute lasts a second, by
    libfaketime under the daemon alone: its jobs live in real time.
    """

    def __init__(
        self,
        system: Sequence[str] = (),
        *,
        cron_d: Mapping[str, Sequence[str]] | None = None,
        users: Mapping[str, Sequence[str]] | None = None,
        hurry: bool = False,
        **more: Any,
    ) -> None:
        super().__init__([], **more)
        try:
            self._write("crontab", system)
            os.mkdir(self._path("cron.d"))
            os.mkdir(self._path("crontabs"), 0o700)
            os.mkdir(self._path("run"))
            for name, lines in (cron_d or {}).items():
                self._write(os.path.join("cron.d", name), lines)
            for name, lines in (users or {}).items():
                self._write(os.path.join("crontabs", name), lines, personal=True)
        except BaseException:
            self.stop()
            raise
        over = [f"mount --bind {shlex.quote(self._path(ours))} {theirs}" for ours, theirs in _MOUNTS.items()]
        start = f"exec {DAEMON} -f"
        if hurry:
            start = f"exec env LD_PRELOAD={FAKETIME} FAKETIME='+0 x60' DONT_FAKE_MONOTONIC=1 {DAEMON} -f"
        script = " && ".join(("touch /etc/crontab", *over, start))
        self.argv = ["/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-c", script]

    @property
    def root(self) -> str:
        """The root directory as the daemon sees it: its crontabs are below this, at their usual places."""
        return f"/proc/{self.pid}/root"

    def _path(self, name: str) -> str:
        return os.path.join(self.keeper.directory, name)

    def _write(self, name: str, lines: Sequence[str], *, personal: bool = False) -> None:
        """A crontab that cron accepts: it gives its jobs a bare environment, so that ours stands in the file."""
        path = self._path(name)
        settings = [f"{key}={value}" for key, value in self.env.items() if key != "LANG"]
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("\n".join((*settings, 'MAILTO=""', *lines)) + "\n")
        os.chmod(path, 0o600 if personal else 0o644)


def holder_command(dsn: str, *options: str, program: str = "sessions") -> str:
    """The command of a crontab line that runs one of tests/bed/holders."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "holders", f"{program}.py")
    return command(sys.executable, path, "--dsn", dsn, *options)
