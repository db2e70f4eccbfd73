"""`pgusher why`: why the slots are held, down to the thread and the line, and what ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgusher.model.values import replace
from pgusher.surfaces.cli.common import ALL, CONNECTION, GENERAL, JUDGE, PRINT, REPLAY, again, request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.judging import judged, print_nagios
from pgusher.surfaces.cli.looking import clock, frame, put, show_looks, watch_screen
from pgusher.surfaces.cli.options import Argument, Command, Option, Values, number
from pgusher.surfaces.cli.who import not_found
from pgusher.surfaces.render.diagnosed import Diagnosed, about
from pgusher.surfaces.render.find import find

if TYPE_CHECKING:
    from pgusher.app.look import Look
    from pgusher.model.evidence import Gap
    from pgusher.model.snapshot import Snapshot


def run(values: Values, context: Context) -> int:
    """Shows the findings. Exit code 1 when one is as bad as --fail-on says; 2 when the word means nothing here."""
    word: str | None = values["holder"]
    config = context.app.config(values["config"])
    complete = again(values, context)
    before: list[Look] = []

    def processes(snapshot: Snapshot) -> frozenset[int] | None:
        """Whose threads are looked at: those of what was asked for; None leaves the choice to the use case."""
        if word is None:
            return None
        return frozenset(pid for match in find([snapshot], word).matches for h in match.holders for pid in h.processes)

    def show(look: Look) -> int:
        found = find(look.snapshots, word)
        if not found.matches and word is not None:
            if values["watch"] is None:
                raise not_found(word, found)
            frame(context, f"{clock()}  nothing is called {context.out.screen().text(word)} now\n")
            return 0
        diagnoses = context.app.diagnose(look, config, before[0] if before else None)
        before[:] = [look]
        servers = [Diagnosed(s, d) for s, d in zip(look.snapshots, diagnoses, strict=True)]
        if word is not None:
            servers = about(servers, found.matches)
        servers = [
            replace(one, snapshot=complete.snapshot(one.snapshot), diagnosis=complete.diagnosis(one.diagnosis))
            for one in servers
        ]
        gaps = complete.gaps(look.gaps)
        if values["format"] == "nagios":
            return print_nagios(values, context, servers)
        if values["json"]:
            _print_json(context, look.elapsed_ms, servers, gaps, word)
            return judged(values, servers)
        from pgusher.surfaces.render.findings import why_page

        screen = watch_screen(values, context)
        lines = why_page(screen, servers, gaps, everything=values["all"])
        put(values, context, screen, lines)
        return judged(values, servers)

    looker = context.app.deep_looker(request_of(values, config, panels=True), processes, values["sample"])
    return show_looks(values, context, show, looker)


def _print_json(
    context: Context, elapsed: float, servers: list[Diagnosed], gaps: tuple[Gap, ...], word: str | None
) -> None:
    import json

    from pgusher.surfaces.render.whyjson import why_json

    context.out.write(json.dumps(why_json(servers, gaps, elapsed, word)) + "\n")


_SAMPLE = Option(
    "sample",
    ("--sample",),
    "watch the threads this long (default 1): what stands still for 20 hangs, and is not slow",
    "SECONDS",
    parse=number(0.1, 600, "seconds from 0.1 to 600"),
    default=1.0,
    group="How to look",
)

COMMAND = Command(
    name="why",
    summary="why the slots are held: findings with their evidence, the thread, the line, the remedy",
    description=(
        "Looks at the sessions, at the processes that hold them and at the threads of those, and says what is wrong, "
        "worst first: each finding with its evidence, how sure it is, the chain, the stack of the thread that matters "
        "with your own line marked, how long, what it costs in slots, and the command that ends it. Stacks of Python "
        "are read with py-spy, which stops a process for some milliseconds only if it cannot read it while it runs. It "
        "changes nothing. docs/how-pgusher-knows.md tells what "
        "each kind of evidence proves and what it cannot."
    ),
    options=(*CONNECTION, _SAMPLE, *PRINT, ALL, *JUDGE, *REPLAY, *GENERAL),
    argument=Argument(
        "holder",
        "HOLDER|PID|IP:PORT|APP",
        "only what is about this holder, process, client address or application_name, as for pgusher who",
        asked=True,
    ),
    run=run,
    examples=(
        ("sudo pgusher why", "all findings, worst first"),
        ("sudo pgusher why cron/version_history", "one holder: what its runs wait for, and since when"),
        ("sudo pgusher why 4711 --sample 20", "one process, by its pid, and whether it hangs or is slow"),
        ("sudo pgusher why --save why.json; pgusher why --from why.json", "the same answer later, with no server"),
        ("pgusher why --fail-on critical", "for a script: exit code 1 only when it is critical"),
        ("pgusher why --format nagios", "one line with performance data, exit codes 0 to 3"),
        ("pgusher explain stuck-job", "the page of a rule"),
    ),
)
