"""When this host was booted, as exactly as it can be known.

The start of a process is told in ticks since boot, so its date is only as good as the date of boot. /proc/stat's
`btime` is cut to whole seconds, and lxcfs puts the start of a container in its place. The difference between
CLOCK_REALTIME and CLOCK_BOOTTIME is the same moment to the microsecond (the kernel counts start times by
CLOCK_BOOTTIME: do_task_stat in fs/proc/array.c).

What is left of the error: a tick is 10 ms and cut, so a start time is up to 10 ms early; and when somebody has set the
clock since, the date is by the new clock, not by the one that a log was written with. Slewing by NTP changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pgusher.collect import procfs
from pgusher.model.address import Micros
from pgusher.model.text import decode


def boot_time(
    proc: str = "/proc",
    *,
    real: Callable[[], int] = time.time_ns,
    since_boot: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
) -> Micros:
    """The time of boot in microseconds since 1970, rounded to the millisecond so that two looks agree.

    By the clocks when `proc` is of the running kernel, else by its `btime`; 0 when neither tells.
    """
    if proc != "/proc" and boot_id(proc) != boot_id("/proc"):
        return _btime(proc)
    # The reading in between is as near to the first as to the second, which a preempted process is only on average.
    best, width = 0, None
    for _ in range(3):
        before = since_boot()
        now = real()
        after = since_boot()
        if width is None or after - before < width:
            best, width = now - (before + after) // 2, after - before
    return (best + 500_000) // 1_000_000 * 1000


def boot_id(proc: str = "/proc") -> str:
    """The kernel's random number of this boot; "" when it cannot be read."""
    try:
        return decode(procfs.read(f"{proc}/sys/kernel/random/boot_id", limit=64).strip())
    except OSError:
        return ""


def _btime(proc: str) -> Micros:
    try:
        # Behind the lines of all processors and the counts of all interrupts.
        raw = procfs.read(f"{proc}/stat", limit=1 << 18)
    except OSError:
        return 0
    for line in raw.split(b"\n"):
        if line.startswith(b"btime "):
            seconds = procfs.parse_number(line[6:])
            return (seconds or 0) * 1_000_000
    return 0
