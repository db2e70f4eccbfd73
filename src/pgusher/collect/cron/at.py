"""The spool of at(1) as entries. Pure. Source: at.c and atd.c of at 3.2.5."""

from __future__ import annotations

import re

from pgusher.collect import argv
from pgusher.model.jobs import CronEntry, CronKind
from pgusher.model.pattern import pattern
from pgusher.model.text import decode

# Queue, number of the job, minutes since 1970; "=" in the place of the queue while the job runs (atd.c: run_file).
_NAME = pattern(r"([a-zA-Z=])([0-9a-f]{5})([0-9a-f]{8})").fullmatch
_UID = pattern(rb"^# atrun uid=([0-9]{1,10}) gid=[0-9]+", re.M)
# What at.c writes behind the environment and before the command.
_PREAMBLE = b" || {\n\t echo 'Execution directory inaccessible' >&2\n\t exit 1\n}\n"
_HERE = pattern(rb"\A\$\{SHELL:-/bin/sh\} << '([^'\n]+)'\n(.*?)\n?^\1$", re.M | re.S)


def is_job_name(name: str) -> bool:
    """Whether a file of the spool is a job, not its lock or sequence file."""
    return _NAME(name) is not None


def is_running(name: str) -> bool:
    """Whether a job of that file name is being run now."""
    return name.startswith("=")


def parse_at(raw: bytes, file: str, name: str) -> tuple[int | None, CronEntry] | None:
    """The uid and the job of one spool file; None when it is none.

    Its environment is in the file too, and is not read. `name` of the entry is the number that `atrm` takes.
    """
    match = _NAME(name)
    if match is None:
        return None
    uid = _UID.search(raw, 0, 4096)
    # Without its own mark nothing tells where the environment ends: better no command than a secret.
    command = raw.partition(_PREAMBLE)[2]
    here = _HERE.search(command)
    text = (here[2] if here else command).strip()
    entry = CronEntry(CronKind.AT, file, 0, "", argv.command(decode(text)), name=str(int(match[2], 16)))
    return (int(uid[1]) if uid else None), entry
