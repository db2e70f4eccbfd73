"""`pgusher cron`: puts crontab lines under the guard, and finds jobs without a limit."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pgusher.errors import RefusedError, UsageError
from pgusher.surfaces.cli.common import GENERAL, PRINT
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, meant, shown
from pgusher.surfaces.render.shell import quote

if TYPE_CHECKING:
    from pgusher.app.adopt import Adoption, Cron, DropIn
    from pgusher.model.evidence import Gap
    from pgusher.surfaces.render.jobs_cron import Change

REFUSED = 4


def run(values: Values, context: Context) -> int:
    """Shows or writes the guarded crontabs; or checks, with exit code 1 for a job without a limit."""
    from pgusher.app.adopt import Cron

    verb, *names = values["words"] or [""]
    cron = Cron()
    if verb == "adopt":
        return _adopt(values, context, cron, names)
    if verb == "check":
        for flag in ("apply", "systemd"):
            if values[flag]:
                raise UsageError(f"--{flag} is for pgusher cron adopt")
        if names:
            raise UsageError(f"unexpected word {shown(names[0])}", hint="pgusher cron check looks at all of them")
        return _check(values, context, cron)
    known = ["adopt", "check"]
    what = f"{shown(verb)} is nothing that pgusher cron does" if verb else "pgusher cron what: adopt or check"
    raise UsageError(what, hint=meant(verb, known) or "pgusher cron --help")


def _adopt(values: Values, context: Context, cron: Cron, names: Sequence[str]) -> int:
    gaps: list[Gap] = []
    changes: list[Change] = []
    refused: list[RefusedError] = []
    if values["systemd"]:
        units = [one for one in cron.drop_ins() if (one.unit in names if names else not one.packaged)]
        changes = [_unit(values, cron, one, refused) for one in units]
        if values["apply"] and any(change.backup for change in changes):
            _reload(context)
    else:
        adoptions, gaps = cron.adoptions(names)
        changes = [_table(values, cron, one, refused) for one in adoptions]
    if names and not changes:
        raise UsageError(f"nothing here is named {shown(names[0])}", hint="all of them: pgusher cron adopt")
    applied = bool(values["apply"])
    if values["json"]:
        from pgusher.surfaces.render.jobs_cron import adopt_json

        _print(context, adopt_json(changes, gaps, applied))
    else:
        from pgusher.surfaces.render.jobs_cron import adopt_page

        screen = context.out.screen(values["color"], values["plain"], values["width"])
        typed = " ".join(["pgusher cron adopt", *(["--systemd"] if values["systemd"] else []), *map(quote, names)])
        context.out.write(screen.page(adopt_page(screen, changes, gaps, applied, f"{typed} --apply")))
    for error in refused:
        context.narrate(f"pgusher: {error.message}" + (f"\nDETAIL:  {error.detail}" if error.detail else ""))
    return REFUSED if refused else 0


def _table(values: Values, cron: Cron, one: Adoption, refused: list[RefusedError]) -> Change:
    from pgusher.app.adopt import diff
    from pgusher.surfaces.render.jobs_cron import Change, Job

    backup = ""
    if values["apply"] and one.changes:
        try:
            backup = cron.apply(one)
        except RefusedError as error:
            refused.append(error)
    jobs = tuple(
        Job(line.entry.line, line.entry.schedule, line.state, line.why, line.name, line.limit) for line in one.lines
    )
    return Change(one.table.place, tuple(diff(one)), jobs, backup)


def _unit(values: Values, cron: Cron, one: DropIn, refused: list[RefusedError]) -> Change:
    from pgusher.surfaces.render.jobs_cron import Change, Job

    why = "" if one.limit else "no limit follows from its timers: give it TimeoutStartSec= by hand"
    job = Job(0, ", ".join(one.timers), "adopted" if one.limit else "left", why, one.unit, one.limit)
    added = one.text.splitlines()
    diff = ("--- /dev/null", f"+++ {one.file}", f"@@ -0,0 +1,{len(added)} @@", *(f"+{line}" for line in added))
    written = ""
    if values["apply"] and one.limit:
        try:
            written = cron.write_drop_in(one)
        except RefusedError as error:
            refused.append(error)
    return Change(one.unit if not one.limit else one.file, diff if one.limit else (), (job,), written)


def _reload(context: Context) -> None:
    """The manager reads units when it is told to; where none runs there is nobody to tell."""
    import os

    if not os.path.isdir("/run/systemd/system"):
        return
    try:
        done = subprocess.run(["systemctl", "daemon-reload"], capture_output=True, text=True, timeout=30, check=False)
        said = done.stderr.strip() if done.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        said = str(error)
    if said:
        context.narrate(f"pgusher: systemd did not read the new files: {said}")


def _check(values: Values, context: Context, cron: Cron) -> int:
    from pgusher.surfaces.render.jobs_cron import Finding

    troubles, gaps = cron.troubles()
    findings = [Finding(one.kind, one.what, one.why, one.remedy, one.counts) for one in troubles]
    if values["json"]:
        from pgusher.surfaces.render.jobs_cron import check_json

        _print(context, check_json(findings, gaps))
    else:
        from pgusher.surfaces.render.jobs_cron import check_page

        screen = context.out.screen(values["color"], values["plain"], values["width"])
        context.out.write(screen.page(check_page(screen, findings, gaps)))
    return int(any(one.counts for one in findings))


def _print(context: Context, data: Any) -> None:
    import json

    context.out.write(json.dumps(data) + "\n")


COMMAND = Command(
    name="cron",
    summary="put crontab lines under the guard; find jobs without a limit",
    description=(
        "adopt shows, as a diff, each crontab line of this user (as root: of this host) with pgusher run before it and "
        "the time limit that follows from its schedule; a file, a user or a job narrows it. --apply writes it: users' "
        "tables by crontab(1), files by replacing them, after a copy was kept, and reads it again. --systemd does the "
        "same for oneshot services that a timer starts, by a drop-in with TimeoutStartSec. check finds jobs without a "
        "limit, such units, and runs that overlapped; it exits with 1 if there are any."
    ),
    options=(
        Option("apply", ("--apply",), "write it; without it nothing is changed", group="What to do", default=False),
        Option("systemd", ("--systemd",), "oneshot units instead of crontabs", group="What to do", default=False),
        *PRINT,
        *GENERAL,
    ),
    argument=Argument(
        "words", "adopt|check [FILE|USER|JOB|UNIT]", "what to do, and with which of them", required=True, many=True
    ),
    run=run,
    examples=(
        ("pgusher cron adopt", "what would be written, as a diff"),
        ("sudo pgusher cron adopt /etc/crontab --apply", "write one file"),
        ("pgusher cron check", "exit code 1 when a job has no limit"),
    ),
)
