"""The jobs of the incident under cron: a real one where we may run it, else a stand-in that says so.

A real cron is started by root in a mount namespace of its own, where directories of the staging lie over /etc/crontab,
/etc/cron.d, the users' crontabs and /run. So it reads no crontab of this machine, meets no cron of this machine, and
nothing outside the namespace changes; the mounts go with its last process.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_STAND_IN = "pgusher.demo.cron_stand_in"
_OVERLAID = ("/etc/crontab", "/etc/cron.d", "/var/spool/cron/crontabs", "/run")
_UNSHARE = ("unshare", "--mount", "--propagation", "private")
# exec: what cron's process was before is no part of the story.
_ENTER = """
mount --bind "$1/crontab" /etc/crontab
mount --bind "$1/cron.d" /etc/cron.d
mount --bind "$1/crontabs" /var/spool/cron/crontabs
mount --bind "$1/run" /run
exec "$2" -f
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the crontab."""

    script: str
    schedule: str
    runs: int
    """How many of its runs hang around: cron starts them at once here, over weeks there."""


def jobs(now: time.struct_time) -> tuple[Job, ...]:
    """The incident's jobs. None is due in the next three minutes: the staging must not change by itself."""
    near = now.tm_min % 10 >= 7
    return (
        Job("version_history.py", "5-55/10 * * * *" if near else "*/10 * * * *", 3),
        Job("stock_report.py", f"{(now.tm_min + 30) % 60} * * * *", 2),
        Job("price_import.py", f"30 {4 if now.tm_hour == 2 else 2} * * *", 1),
    )


@dataclass(frozen=True, slots=True)
class Cron:
    """What runs the jobs, and what it reads."""

    real: bool
    argv: Sequence[str]
    file: str
    """The crontab with the jobs."""
    settled: str
    """What is to stand in it once the runs have been started."""
    why: str = ""
    """Why it is not a real cron."""

    def settle(self) -> None:
        """Take the @reboot lines out: what stays is the incident's crontab, as it was when somebody looked at it."""
        directory, name = os.path.split(self.file)
        new = os.path.join(directory, f".{name}.new")  # cron passes over a name with a dot
        _put(new, self.settled)
        os.replace(new, self.file)


def why_no_cron(directory: str) -> str | None:
    """Why a real cron cannot be run here; None when it can."""
    if os.geteuid() != 0:
        return "only root may run cron"
    if shutil.which("cron", path="/usr/sbin:/sbin:/usr/bin:/bin") is None:
        return "cron is not installed"
    for path in _OVERLAID:
        if not os.path.exists(path):
            return f"there is no {path} to lay the staging's own over"
    if os.path.realpath(directory).startswith("/run/"):
        return "the staging lies under /run"
    done = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no mount namespace can be made: {done.stderr.strip()}"


def write(directory: str, python: str, environment: Mapping[str, str], planned: Sequence[Job]) -> Cron:
    """Write the crontab for these jobs below `directory`, whose `shop` has the scripts; how to run it."""
    why = why_no_cron(directory)
    user = "root " if why is None else ""  # a system crontab names the user
    # cron runs a job in HOME, and finds programs by PATH: so the lines are as short as people write them.
    path = os.pathsep.join((os.path.dirname(python), "/usr/bin", "/bin"))
    own = {"MAILTO": '""', "HOME": directory, "PATH": path}
    settings = [f"{name}={value}" for name, value in {**own, **environment}.items()]
    regular, at_once = [], []
    for job in planned:
        program = shlex.quote(os.path.basename(python))
        command = f"cd shop && {program} {job.script} >> ../log/{job.script.replace('.py', '.log')} 2>&1"
        regular.append(f"{job.schedule} {user}{command}")
        at_once += [f"@reboot {user}{command}"] * job.runs
    settled = "\n".join(["# The jobs of the incident.", *settings, *regular, ""])
    text = "\n".join([settled, "# Only while it is staged: the runs of weeks, started at once.", *at_once, ""])
    root = os.path.join(directory, "cron")
    os.mkdir(root, 0o755)
    if why is not None:
        path = os.path.join(root, "crontab")
        _put(path, text)
        return Cron(False, (python, "-m", _STAND_IN, path), path, settled, why)
    for name in ("cron.d", "crontabs", "run"):
        os.mkdir(os.path.join(root, name), 0o755)
    _put(os.path.join(root, "crontab"), "# empty: the staging's jobs are in cron.d\n")
    path = os.path.join(root, "cron.d", "shop")
    _put(path, text)
    program = shutil.which("cron", path="/usr/sbin:/sbin:/usr/bin:/bin") or "cron"
    argv = (*_UNSHARE, "/bin/sh", "-ec", _ENTER, "sh", root, program)
    return Cron(True, argv, path, settled)


def _put(path: str, text: str) -> None:
    """A file as cron wants it: ours, and for nobody else to write."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8") as file:
        file.write(text)


def read_settings(directory: str) -> dict[str, str]:
    """The variables that the staged crontab gives its jobs: who they log in as, and how they find their programs."""
    root = os.path.join(directory, "cron")
    real = os.path.join(root, "cron.d", "shop")
    with open(real if os.path.exists(real) else os.path.join(root, "crontab"), encoding="utf-8") as file:
        pairs = [line.rstrip("\n").partition("=") for line in file if line[:1].isupper() and "=" in line]
    return {name: value for name, _, value in pairs if name not in {"MAILTO", "HOME", "PGUSHER_DEMO_TRUTH"}}
