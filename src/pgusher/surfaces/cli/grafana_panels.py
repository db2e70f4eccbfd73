"""`pgusher grafana panels`: which saved query each session of Grafana's runs, or ran last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgusher.errors import UsageError
from pgusher.model.panel_slots import PanelLook
from pgusher.model.values import replace
from pgusher.surfaces.cli.common import request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.looking import Waiting
from pgusher.surfaces.cli.options import Values
from pgusher.surfaces.render.screen import BLANK, Line

if TYPE_CHECKING:
    from pgusher.app.panels import PanelFinder
    from pgusher.model.grafana import Grafana
    from pgusher.model.snapshot import Snapshot


def run(values: Values, context: Context, words: list[str]) -> int:
    """Prints slots by panel. Raises UsageError, and UnreachableError when no server answers."""
    from pgusher.attribute.panels.slots import by_panel
    from pgusher.model.grafana_servers import server_of
    from pgusher.surfaces.cli.grafana import found
    from pgusher.surfaces.render.panels import panels_json, panels_page

    if words:
        raise UsageError("pgusher grafana panels takes no further word", hint="the slowest first: --slow")
    grafanas, how, _ = found(values, context)
    request = request_of(values, context.app.config(values["config"]))
    looker = context.app.looker(request)
    try:
        with Waiting(context, request):
            look = looker.look()
        finder = finder_of(how)
        snapshot = server_of(look.snapshots, grafanas)
        told = panels_of(finder, looker, snapshot, grafanas, request.timeout) if snapshot is not None else None
    finally:
        looker.close()
    told = told or PanelLook()
    told = replace(told, gaps=tuple(dict.fromkeys((*(gap for one in grafanas for gap in one.gaps), *told.gaps))))
    slots = by_panel(told.sent, slow=values["slow"])
    url = how.url if how is not None else ""
    if values["json"]:
        import json

        context.out.write(json.dumps(panels_json(told, slots, url)) + "\n")
    else:
        screen = context.out.screen(values["color"], values["plain"], values["width"])
        context.out.write(screen.page(panels_page(screen, told, slots, url)))
    return 0


def finder_of(how: Any) -> PanelFinder:
    """What reads the saved queries of the Grafana that is asked, or of those of this host."""
    from pgusher.app.grafana import running
    from pgusher.app.panels import PanelFinder

    return PanelFinder(how, running)


def panels_of(
    finder: PanelFinder, looker: Any, snapshot: Snapshot, grafanas: tuple[Grafana, ...], timeout: float
) -> PanelLook:
    """What a look at one server tells, while its connection is still there."""
    connection = getattr(looker, "connection", lambda _server: None)(snapshot.facts.server)
    return finder.look(snapshot, grafanas, connection, timeout)


class InWho:
    """What `pgusher who` adds where it shows a Grafana. Dashboards are read when there is one, and not before."""

    def __init__(self, values: Values, context: Context, looker: Any) -> None:
        self._values = values
        self._context = context
        self._looker = looker
        self._known: tuple[PanelFinder, tuple[Grafana, ...], str] | None = None

    def lines(self, snapshots: tuple[Snapshot, ...]) -> list[Line]:
        """Slots by panel; nothing where no dashboard could be read."""
        from pgusher.app.panels import PROGRAM
        from pgusher.attribute.panels.slots import by_panel
        from pgusher.surfaces.render.panels import panels_page

        values, context = self._values, self._context
        screen = context.out.screen(values["color"], values["plain"], values["width"])
        lines: list[Line] = []
        for snapshot in snapshots:
            if not any(holder.program == PROGRAM for holder in snapshot.holders):
                continue
            finder, grafanas, url = self._grafana()
            told = panels_of(finder, self._looker, snapshot, grafanas, values["timeout"])
            if told.queries and told.sent:
                lines += [BLANK, *panels_page(screen, told, by_panel(told.sent), url)]
        return lines

    def _grafana(self) -> tuple[PanelFinder, tuple[Grafana, ...], str]:
        if self._known is None:
            from pgusher.app.grafana import Wish, access, find, running

            config = self._context.app.config(self._values["config"])
            how, _ = access(Wish(), config, self._context.environ) or (None, None)
            self._known = finder_of(how), find(how, running()), how.url if how is not None else ""
        return self._known
