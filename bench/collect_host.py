"""What it costs to see processes, cron jobs, units and containers: cold, and as one look after another.

    python bench/collect_host.py

The processes are `sleep infinity`, each with a command line of its own, all children of this one. A cold look is one
of a new source; a warm one finds what it knew. The best of the rounds is printed beside the median, as other work on
the machine can only add.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from pgusher.collect import procfs
from pgusher.collect.containers import ContainerSource
from pgusher.collect.cron import CronSource
from pgusher.collect.processes import ProcessSource
from pgusher.collect.systemd import UnitSource

SIZES = (50, 500, 2_000)
ROUNDS = 15


def timed(work: Callable[[], object], rounds: int = ROUNDS) -> str:
    """Milliseconds: the best and the median."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    return f"{min(took):8.2f} {median(took):8.2f}"


def children(count: int) -> list[subprocess.Popen[bytes]]:
    """That many processes that wait."""
    made = []
    for number in range(count):
        title = f"/srv/app/bin/python3 /srv/app/report_{number}.py --tenant {number}"
        made.append(subprocess.Popen([title, "infinity"], executable="/bin/sleep"))
    return made


def processes() -> None:
    """Every size, and what the files of one process cost."""
    print(f"{'':40} {'best':>8} {'median':>8}")
    for size in SIZES:
        made = children(size)
        pids = [child.pid for child in made]
        try:
            time.sleep(2.5)  # a young process is read anew at each look
            source = ProcessSource()
            source.look(pids)
            print(f"{size:5} processes, cold                  {timed(lambda pids=pids: ProcessSource().look(pids))}")
            print(
                f"{size:5} processes, warm                  {timed(lambda pids=pids, source=source: source.look(pids))}"
            )
            if size == 500:
                per_file(pids)
        finally:
            for child in made:
                child.kill()
            for child in made:
                child.wait()


def per_file(pids: list[int]) -> None:
    """The files of the same processes one by one."""
    directories = [os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY) for pid in pids]
    for name in ("stat", "status", "cmdline", "cgroup", "sessionid", "loginuid"):
        print(f"      {name:34} {timed(lambda name=name: [procfs.read(name, one) for one in directories])}")
    for name in ("exe", "cwd", "ns/net"):
        print(f"      {name:34} {timed(lambda name=name: [os.readlink(name, dir_fd=one) for one in directories])}")
    print(f"      {'the directory itself (warm)':34} {timed(lambda: [os.stat(f'/proc/{pid}') for pid in pids])}")
    for directory in directories:
        os.close(directory)


def typical_host(root: Path) -> None:
    """Ten files in cron.d, five users' crontabs with ten lines each, fifteen scripts of run-parts."""
    for directory in ("cron.d", "cron.daily", "cron.hourly", "cron.weekly"):
        (root / "etc" / directory).mkdir(parents=True)
    (root / "var/spool/cron/crontabs").mkdir(parents=True)
    (root / "etc/passwd").write_bytes(Path("/etc/passwd").read_bytes())
    line = "cd /srv/app && /srv/venv/bin/python3 {}.py --all >> /var/log/{}.log 2>&1\n"
    (root / "etc/crontab").write_text("17 * * * * root cd / && run-parts --report /etc/cron.hourly\n" * 4)
    for number in range(10):
        jobs = "".join(f"*/{n + 2} * * * * root {line.format(number, n)}" for n in range(3))
        (root / f"etc/cron.d/app{number}").write_text(f"SHELL=/bin/sh\nPATH=/usr/bin\n\n{jobs}")
    for number in range(5):
        jobs = "".join(f"{n} */2 * * 1-5 {line.format(number, n)}" for n in range(10))
        (root / f"var/spool/cron/crontabs/user{number}").write_text(f"# comment\nMAILTO=''\n{jobs}")
    for number in range(15):
        script = root / "etc" / ("cron.daily", "cron.hourly", "cron.weekly")[number % 3] / f"job{number}"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)


def jobs() -> None:
    """Cron, units and containers."""
    with tempfile.TemporaryDirectory() as place:
        typical_host(Path(place))
        source = CronSource(place)
        count = len(source.look().entries)
        print(f"cron, {count:3} jobs of a typical host, cold   {timed(lambda: CronSource(place).look())}")
        print(f"cron, {count:3} jobs of a typical host, warm   {timed(source.look)}")
    source = CronSource()
    count = len(source.look().entries)
    print(f"cron, {count:3} jobs of this host, cold        {timed(lambda: CronSource().look())}")
    print(f"cron, {count:3} jobs of this host, warm        {timed(source.look)}")
    cgroups = [f"/system.slice/app{number}.service" for number in range(30)] + ["/system.slice/cron.service"]
    units = UnitSource()
    units.look(cgroups)
    print(f"systemd, {len(cgroups)} units, cold               {timed(lambda: UnitSource().look(cgroups))}")
    print(f"systemd, {len(cgroups)} units, warm               {timed(lambda: units.look(cgroups))}")
    cgroups = [f"/system.slice/docker-{number:064x}.scope" for number in range(30)]
    containers = ContainerSource()
    containers.look(cgroups)
    print(f"containers, {len(cgroups)}, cold                  {timed(lambda: ContainerSource().look(cgroups))}")
    print(f"containers, {len(cgroups)}, warm (no names)       {timed(lambda: containers.look(cgroups))}")


if __name__ == "__main__":
    processes()
    jobs()
