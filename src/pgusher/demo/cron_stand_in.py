"""A stand-in for cron, for those who may not run a real one. It reads one user crontab and does with it what cron does.

At the start it runs every @reboot line, then, each minute, the lines whose time has come: a fork, a session of its own,
and `/bin/sh -c COMMAND` with the environment that the crontab sets. It knows the schedules `@reboot` and five fields of
numbers, `*`, ranges and steps; not names, not user columns, not mail. It is a part of pgusher, and so what it starts is
known by what it is. Usage: python -m pgusher.demo.cron_stand_in CRONTAB
"""

import os
import re
import subprocess
import sys
import time

BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def values(field: str, low: int, high: int) -> set[int]:
    """The numbers that one field stands for. Raises ValueError."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found.update(range(int(first), int(last or first) + 1, int(step or 1)))
    if not found or min(found) < low or max(found) > high:
        raise ValueError(f"{field} is not within {low}-{high}")
    return found


class Crontab:
    """The lines of a crontab: (schedule, command), and the environment that it sets for all of them."""

    def __init__(self, path: str) -> None:
        """Read it. Raises ValueError with the line number for a line that is neither."""
        self.environment = {"HOME": os.path.expanduser("~"), "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
        self.jobs: list[tuple[str, str]] = []
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not self.take(line.strip()):
                    raise ValueError(f"{path}:{number}: neither a job nor a setting")

    def take(self, line: str) -> bool:
        """Take one line in; False when it is neither empty, a comment, a setting nor a job."""
        if not line or line.startswith("#"):
            return True
        if setting := re.match(r"(\w+)\s*=\s*(.*)$", line):
            self.environment[setting[1]] = setting[2].strip("\"'")
            return True
        job = re.match(r"(@reboot|\S+(?:\s+\S+){4})\s+(.+)$", line)
        if job is None:
            return False
        # cron gives the shell what stands before the first unescaped %, and \% as %.
        command = re.split(r"(?<!\\)%", job[2])[0].replace("\\%", "%")
        self.jobs.append((job[1], command))
        return True

    def run(self, command: str) -> subprocess.Popen[bytes]:
        """Start one job; its end is not waited for."""
        return subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            cwd=self.environment["HOME"],
            env=self.environment,
            start_new_session=True,
        )


def due(schedule: str, now: time.struct_time) -> bool:
    """Whether a schedule matches this minute."""
    if schedule == "@reboot":
        return False
    minute, hour, day, month, weekday = (values(f, *b) for f, b in zip(schedule.split(), BOUNDS, strict=True))
    return (
        now.tm_min in minute
        and now.tm_hour in hour
        and now.tm_mday in day
        and now.tm_mon in month
        and bool({(now.tm_wday + 1) % 7, (now.tm_wday + 1) % 7 or 7} & weekday)
    )


def main() -> None:
    """Run the crontab that the command line names, until the end."""
    crontab = Crontab(sys.argv[1])
    running = [crontab.run(command) for schedule, command in crontab.jobs if schedule == "@reboot"]
    while True:
        time.sleep(60 - time.time() % 60)
        running = [job for job in running if job.poll() is None]
        now = time.localtime()
        running += [crontab.run(command) for schedule, command in crontab.jobs if due(schedule, now)]


if __name__ == "__main__":
    main()
