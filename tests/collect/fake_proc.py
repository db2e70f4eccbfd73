"""A /proc of our own making: for what a real one shows only now and then, or never."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BOOT_ID = "00000000-0000-4000-8000-000000000000"


def stat_line(
    pid: int,
    comm: bytes = b"python3",
    *,
    state: str = "S",
    ppid: int = 1,
    sid: int = 7,
    tty: int = 0,
    flags: int = 0x400000,
    threads: int = 1,
    start: int = 500,
    stack: int = 4242,
) -> bytes:
    """A line as proc_pid_stat(5) describes it."""
    before = f"{state} {ppid} {pid} {sid} {tty} -1 {flags} 1 2 3 4 5 6 7 8 20 0 {threads} 0"
    behind = f"{start} 9999 88 18446744073709551615 1 1 {stack} 0 0 0 0 0 0 0 0 0 17 1 0 0\n"
    return b"%d (%s) %s %s" % (pid, comm, before.encode(), behind.encode())


def add(
    proc: Path,
    pid: int,
    *,
    stat: bytes | None = None,
    cmdline: bytes = b"python3\0x.py\0",
    cgroup: bytes = b"0::/\n",
    **of_stat: Any,
) -> Path:
    """A process in `proc`."""
    place = proc / str(pid)
    (place / "ns").mkdir(parents=True, exist_ok=True)
    (place / "stat").write_bytes(stat_line(pid, **of_stat) if stat is None else stat)
    (place / "cmdline").write_bytes(cmdline)
    (place / "cgroup").write_bytes(cgroup)
    (place / "loginuid").write_bytes(b"1000")
    (place / "sessionid").write_bytes(b"3")
    for name, target in (("exe", "/usr/bin/python3.11"), ("cwd", "/srv"), ("ns/net", "net:[4026531840]")):
        if not (place / name).is_symlink():
            (place / name).symlink_to(target)
    return place


def host(proc: Path, *, btime: int = 1_000_000) -> None:
    """The files of the whole host."""
    (proc / "sys/kernel/random").mkdir(parents=True, exist_ok=True)
    (proc / "sys/kernel/random/boot_id").write_text(BOOT_ID + "\n")
    (proc / "stat").write_text(f"cpu  1 2 3\nintr {'0 ' * 3000}\nctxt 5\nbtime {btime}\nprocesses 9\n")
