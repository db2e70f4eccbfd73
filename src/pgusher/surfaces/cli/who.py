"""`pgusher who`: the chains from the sessions to what a person can name and stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgusher.errors import UsageError
from pgusher.model.values import replace
from pgusher.surfaces.cli.common import ALL, CONNECTION, GENERAL, PRINT, REPLAY, again, request_of
from pgusher.surfaces.cli.context import Context, Looks
from pgusher.surfaces.cli.looking import clock, exit_code, frame, put, show_looks, watch_screen
from pgusher.surfaces.cli.options import Argument, Command, Values, shown
from pgusher.surfaces.render.find import Found, find
from pgusher.surfaces.render.headline import nobody
from pgusher.surfaces.render.words import listed

if TYPE_CHECKING:
    from pgusher.app.look import Look
    from pgusher.model.evidence import Gap
    from pgusher.model.snapshot import Snapshot
    from pgusher.surfaces.cli.grafana_panels import InWho
    from pgusher.surfaces.render.screen import Line, Screen


def run(values: Values, context: Context) -> int:
    """Shows the chains. Exit code as that of `pgusher`; 2 when the word means nothing, or too much."""
    word: str | None = values["holder"]

    complete = again(values, context)
    looker: Looks | None = None
    panels: list[InWho] = []
    config = context.app.config(values["config"])
    if values["replay"] is None:
        looker = context.app.looker(request_of(values, config, panels=True))

    def show(look: Look) -> int:
        snapshots, gaps = tuple(map(complete.snapshot, look.snapshots)), complete.gaps(look.gaps)
        found = find(snapshots, word)
        if not found.matches and word is not None:
            if values["watch"] is None:
                raise not_found(word, found)
            frame(context, f"{clock()}  nothing is called {context.out.screen().text(word)} now\n")
            return exit_code(look)
        if values["json"]:
            _print_json(context, gaps, found, word)
            return exit_code(look)
        from pgusher.surfaces.render.who import who_page

        screen = watch_screen(values, context)
        lines = who_page(screen, found.matches, word, gaps, values["all"])
        named = context.environ.get("PGUSHER_GRAFANA_URL") or config.grafana_url
        shown = [s for s in look.snapshots if s.facts.panels is not None]
        if word is not None and shown and _shows_grafana(found):
            for snapshot in shown:
                lines += told_lines(screen, snapshot)
        elif (
            word is not None
            and looker is not None
            and _shows_grafana(found)
            and (named or any(s.facts.grafana for s in look.snapshots))
        ):
            # What reads dashboards is loaded here alone: where there is a Grafana that can be read.
            if not panels:
                panels.append(_panels(values, context, looker))
            lines += panels[0].lines(look.snapshots)
        put(
            values,
            context,
            screen,
            lines or [[(nobody(look.snapshots[0]) if look.snapshots else "no server seen", "")]],
        )
        return exit_code(look)

    return show_looks(values, context, show, looker)


def _shows_grafana(found: Found) -> bool:
    return any(holder.program == "Grafana" for one in found.matches for holder in one.holders)


def told_lines(screen: Screen, snapshot: Snapshot) -> list[Line]:
    """Slots by panel, as the look itself has told them, also when it is replayed."""
    from pgusher.attribute.panels.slots import by_panel
    from pgusher.surfaces.render.panels import panels_page
    from pgusher.surfaces.render.screen import BLANK

    look = snapshot.facts.panels
    if look is None or not look.queries or not look.sent:
        return []
    return [BLANK, *panels_page(screen, replace(look, gaps=()), by_panel(look.sent), look.url)]


def _panels(values: Values, context: Context, looker: Looks) -> InWho:
    from pgusher.surfaces.cli.grafana_panels import InWho

    return InWho(values, context, looker)


def not_found(word: str, found: Found) -> UsageError:
    """What is said of a word that means nothing here, or too much."""
    if found.candidates:
        names = listed(list(found.candidates), 8)
        return UsageError(
            f"{shown(word)} fits {len(found.candidates)} holders", detail=names, hint="type more of the name"
        )
    return UsageError(
        f"nothing here is called {shown(word)}",
        detail="no holder, process, client address or application",
        hint=f"did you mean {' or '.join(found.near)}?" if found.near else "all holders: pgusher who",
    )


def _print_json(context: Context, gaps: tuple[Gap, ...], found: Found, word: str | None) -> None:
    import json

    from pgusher.surfaces.render.asjson import who_json

    context.out.write(json.dumps(who_json(found.matches, gaps, word)) + "\n")


COMMAND = Command(
    name="who",
    summary="the chain from each session to what holds it, with its evidence",
    description=(
        "Shows how each session leads to a process and to what a person can name and stop: a cron job, a unit, a "
        "container, a service, a terminal; each link with its evidence, and how sure it is (proven, likely or "
        "guessed). With a word: only what it means, with its sessions; of a Grafana also its panels, where its "
        "dashboards can be read."
    ),
    options=CONNECTION + PRINT + (ALL,) + REPLAY + GENERAL,
    argument=Argument(
        "holder",
        "HOLDER|PID|IP:PORT|APP",
        "a holder's name or the beginning of it, a kind of holder (cron), a server's or a client's process, "
        "a client's address, or an application_name",
        asked=True,
    ),
    run=run,
    examples=(
        ("pgusher who", "all holders, each with its chain"),
        ("pgusher who cron", "all cron jobs that hold slots"),
        ("pgusher who grafana", "one holder, by a part of its name, with its sessions"),
        ("pgusher who 4711", "the session of server process 4711, or those of client process 4711"),
        ("pgusher who 10.0.0.7:51512", "the session of one client address"),
        ("pgusher who grafana --all", "with every session and socket"),
    ),
)
