"""`pgusher report`: one file for a bug report, or for a colleague."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from pgusher.surfaces.cli.common import CONNECTION, GENERAL, PRINT, REPLAY, request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.looking import show_looks
from pgusher.surfaces.cli.options import Argument, Command, Option, Values

if TYPE_CHECKING:
    from pgusher.app.look import Look
    from pgusher.model.findings import Diagnosis

_OWN = (
    Option("redact", ("--redact",), "replace every name, address, host and statement, each by the same word everywhere",
           default=False),
    Option("force", ("--force",), "replace the file if there is one", default=False),
)  # fmt: skip
_LEFT = {"json", "plain", "width", "color", "watch", "save"}


def run(values: Values, context: Context) -> int:
    """Looks, diagnoses, and writes both. Exit code 0 when the file was written."""
    config = context.app.config(values["config"])
    values = {**values, "watch": None, "save": None, "json": False}
    path = values["file"] or time.strftime("pgusher-report-%Y%m%dT%H%M%SZ.json", time.gmtime())

    def show(look: Look) -> int:
        before = context.app.diagnose(look, config)
        replaced: dict[str, int] = {}
        after = before
        if values["redact"]:
            look, replaced = context.app.redacted(look)
            after = context.app.diagnose(look, config)
        same = _rules(before) == _rules(after)
        data = _contents(look, after, values["redact"], replaced, same)
        size = context.app.write_report(path, look, data, values["force"])
        context.narrate(_said(path, size, values["redact"], replaced, same))
        context.out.write(context.out.screen("never").text(path) + "\n")
        return 0

    looker = context.app.deep_looker(request_of(values, config, panels=True), lambda _snapshot: None)
    return show_looks(values, context, show, looker)


def _rules(diagnoses: tuple[Diagnosis, ...]) -> Counter[str]:
    return Counter(finding.rule for one in diagnoses for finding in one.findings)


def _contents(
    look: Look, diagnoses: tuple[Diagnosis, ...], redact: bool, replaced: dict[str, int], same: bool
) -> dict[str, Any]:
    from pgusher.surfaces.cli.version import version_text
    from pgusher.surfaces.render.diagnosed import Diagnosed
    from pgusher.surfaces.render.whyjson import why_json

    servers = [Diagnosed(snapshot, one) for snapshot, one in zip(look.snapshots, diagnoses, strict=True)]
    versions = dict(line.split(" ", 1) for line in version_text().splitlines())
    versions["libpq"] = versions["libpq"].split(" ")[0]  # without the place of the file
    return {
        "redacted": redact,
        "replaced": replaced,
        "same_findings": same,
        "versions": versions,
        "why": why_json(servers, look.gaps, look.elapsed_ms, None),
    }


def _said(path: str, size: int, redact: bool, replaced: dict[str, int], same: bool) -> str:
    lines = [f"{path}: {size} bytes, readable by you only; shown by: pgusher why --from {path}"]
    if redact:
        told = ", ".join(f"{number} x {kind}" for kind, number in replaced.items()) or "nothing: there was no name"
        lines.append(f"replaced: {told}")
        lines.append(
            "kept: times, counts, pids, ports, states, PostgreSQL's and known programs' own words, code of the"
            " standard library"
        )
        lines.append("the findings are the same" if same else "some findings differ from those without --redact")
    else:
        lines.append("it holds the names of users, hosts, files and statements; --redact replaces them")
    return "\n".join(lines)


COMMAND = Command(
    name="report",
    summary="one file for a bug report or a colleague: what was seen, and what was found",
    description=(
        "Writes one JSON file with the snapshot, the stacks, the findings and the versions. With --redact every name "
        "of a role, database, host, file, function, unit, container, address or statement is replaced, each by the "
        "same word everywhere, so that the chains hold together and nobody can tell whose they are; look into it all "
        "the same before you send it. pgusher --from FILE and pgusher why --from FILE show it. The file's name goes to "
        "standard output, what was replaced to standard error."
    ),
    options=CONNECTION + _OWN + tuple(option for option in (*PRINT, *REPLAY) if option.name not in _LEFT) + GENERAL,
    argument=Argument(
        "file", "FILE", "where to write it; by default pgusher-report-TIME.json in the current directory", files=True
    ),
    run=run,
    examples=(
        ("sudo pgusher report --redact", "for a bug report"),
        ("sudo pgusher report full.json", "for a colleague in the house: nothing but secrets is hidden"),
        ("pgusher report --redact --from now.json safe.json", "from a snapshot that was saved"),
    ),
)
