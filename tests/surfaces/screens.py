"""Every screen as it must look, byte for byte: the golden files beside this one.

After a change that is meant, renew them and look at the difference with your own eyes before you commit it:

    python -m tests.surfaces.screens
    git diff tests/surfaces/golden

`cat` shows the coloured ones in their colours.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from pgusher.budget.sheet import sheet
from pgusher.model.evidence import Gap
from pgusher.model.findings import Diagnosis
from pgusher.model.grafana import DataSource, Figure, Grafana, OwnDatabase, Seen
from pgusher.model.grafana_limits import limits
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace
from pgusher.surfaces.render.budget import budget_page
from pgusher.surfaces.render.diagnosed import Diagnosed, about
from pgusher.surfaces.render.doctor import doctor_page
from pgusher.surfaces.render.find import find
from pgusher.surfaces.render.findings import why_page
from pgusher.surfaces.render.grafana import grafana_page
from pgusher.surfaces.render.rules import rules_page
from pgusher.surfaces.render.screen import Screen
from pgusher.surfaces.render.state import state_page
from pgusher.surfaces.render.who import who_page
from tests.surfaces import findings, jobs, worlds
from tests.surfaces.fakes import CHECKS, RULES

GOLDEN = Path(__file__).parent / "golden"

NARROW = Screen()
WIDE = Screen(width=120, height=40)
COLOUR = Screen(colour=True)
ASCII = Screen(unicode=False, encoding="ascii")
PLAIN = Screen(plain=True)
PIPE = Screen(width=None, height=None)


def state(
    screen: Screen,
    *snapshots: Snapshot,
    everything: bool = False,
    gaps: tuple[Gap, ...] = (),
    found: Diagnosis = findings.QUIET,
) -> str:
    return screen.page(state_page(screen, snapshots, gaps, everything=everything, findings=found.findings))


def why(screen: Screen, *servers: Diagnosed, word: str | None = None, everything: bool = False) -> str:
    shown = servers if word is None else about(servers, find([one.snapshot for one in servers], word).matches)
    return screen.page(why_page(screen, shown, everything=everything))


def incident() -> Diagnosed:
    return Diagnosed(findings.stacked(), findings.INCIDENT)


def rules(screen: Screen) -> str:
    return screen.page(rules_page(screen, RULES))


def who(screen: Screen, word: str | None, *snapshots: Snapshot, everything: bool = False) -> str:
    found = find(snapshots, word)
    assert found.matches
    return screen.page(who_page(screen, found.matches, word, everything=everything))


def grafana(screen: Screen) -> str:
    def source(name: str, user: str, data: dict[str, object], ini: dict[str, Figure]) -> DataSource:
        found = limits("12.1.0", "postgres", data, ini)
        return DataSource(f"uid-{user}", name, 1, "postgres", "db1", 5432, "shop", user, found)

    ini = {"max_open_conns_default": Figure(40, "max_open_conns_default in /etc/grafana/grafana.ini:412")}
    sources = (
        source("Shop", "grafana", {}, ini),
        source("Till", "till", {"maxOpenConns": 10, "connMaxLifetime": 0}, {}),
    )
    none, two = Figure(None, "default of [database]", True), Figure(2, "default of [database]", True)
    own = OwnDatabase("db1", 5432, "grafana", "grafana_own", none, two, two)
    gap = Gap("grafana", "/var/lib/grafana/grafana.db", "permission denied", "run pgusher as root")
    one = Grafana("/etc/grafana/grafana.ini", "12.1.0", Seen.FILES, sources, 2, "2 processes", (71, 72), own)
    counts = {sources[0]: 31, sources[1]: 0}
    typed = [("pgusher grafana limit Shop 9", "plan a limit")]
    found = [
        replace(findings.INCIDENT.findings[0], message="Grafana may take 100 of 97 ordinary slots by 2 data sources")
    ]
    return screen.page(grafana_page(screen, (one,), counts, 97, found, typed, (gap,)))


def doctor(screen: Screen) -> str:
    return screen.page(doctor_page(screen, CHECKS))


def budget(screen: Screen, *snapshots: Snapshot, everything: bool = False) -> str:
    return screen.page(budget_page(screen, [sheet(one) for one in snapshots], everything))


SCREENS: dict[str, Callable[[], str]] = {
    "state": lambda: state(NARROW, worlds.incident(), found=findings.INCIDENT),
    "state-wide": lambda: state(WIDE, worlds.incident(), found=findings.INCIDENT),
    "state-colour": lambda: state(COLOUR, worlds.incident(), found=findings.INCIDENT),
    "state-ascii": lambda: state(ASCII, worlds.incident(), found=findings.INCIDENT),
    "state-plain": lambda: state(PLAIN, worlds.incident(), found=findings.INCIDENT),
    "state-pipe": lambda: state(PIPE, worlds.incident(), found=findings.INCIDENT),
    "state-all": lambda: state(NARROW, worlds.quiet(limits=True), everything=True),
    "half-blind": lambda: state(NARROW, worlds.half_blind()),
    "half-blind-all": lambda: state(NARROW, worlds.half_blind(), everything=True),
    "half-blind-pipe": lambda: state(PIPE, worlds.half_blind()),
    "limit-reached": lambda: state(NARROW, worlds.quiet(limits=True)),
    "quiet": lambda: state(NARROW, worlds.quiet()),
    "two-servers": lambda: state(NARROW, worlds.incident(), worlds.quiet()),
    "two-servers-pipe": lambda: state(PIPE, worlds.incident(), worlds.quiet()),
    "600-slots": lambda: state(NARROW, worlds.crowd(600, 14)),
    "3000-slots": lambda: state(WIDE, worlds.crowd(3000, 40)),
    "3000-slots-ascii": lambda: state(ASCII, worlds.crowd(3000, 40)),
    "who-cron": lambda: who(NARROW, "cron/version_history", worlds.incident()),
    "who-grafana-wide": lambda: who(WIDE, "grafana", worlds.incident()),
    "who-orders-colour": lambda: who(COLOUR, "orders", worlds.incident()),
    "who-pid": lambda: who(NARROW, "4711", worlds.incident()),
    "who-address": lambda: who(NARROW, "10.0.0.7", worlds.quiet()),
    "who-everything": lambda: who(NARROW, "orders", worlds.incident(), everything=True),
    "who-nobody-named": lambda: who(NARROW, None, worlds.incident()),
    "who-pipe": lambda: who(PIPE, "cron/stock_sync", worlds.incident()),
    "why": lambda: why(NARROW, incident()),
    "why-wide": lambda: why(WIDE, incident()),
    "why-colour": lambda: why(COLOUR, incident()),
    "why-ascii": lambda: why(ASCII, incident()),
    "why-plain": lambda: why(PLAIN, incident()),
    "why-pipe": lambda: why(PIPE, incident()),
    "why-all": lambda: why(NARROW, incident(), everything=True),
    "why-holder": lambda: why(NARROW, incident(), word="orders"),
    "why-holder-nothing": lambda: why(NARROW, incident(), word="terminal/anna@pts3"),
    "why-holder-stack": lambda: why(NARROW, Diagnosed(findings.stacked(), findings.QUIET), word="version_history"),
    "why-nothing": lambda: why(NARROW, Diagnosed(worlds.quiet(), findings.QUIET)),
    "why-nothing-pipe": lambda: why(PIPE, Diagnosed(worlds.quiet(), findings.QUIET)),
    "why-two-servers": lambda: why(NARROW, Diagnosed(worlds.quiet(), findings.NOTES), incident()),
    "rules": lambda: rules(NARROW),
    "rules-pipe": lambda: rules(PIPE),
    "budget": lambda: budget(NARROW, worlds.incident()),
    "budget-wide": lambda: budget(WIDE, worlds.incident(), everything=True),
    "budget-pipe": lambda: budget(PIPE, worlds.incident(), worlds.quiet()),
    "budget-half-blind": lambda: budget(NARROW, worlds.half_blind()),
    "grafana": lambda: grafana(NARROW),
    "grafana-pipe": lambda: grafana(PIPE),
    "doctor": lambda: doctor(NARROW),
    "doctor-pipe": lambda: doctor(PIPE),
    "jobs": lambda: jobs.jobs(NARROW),
    "jobs-wide": lambda: jobs.jobs(WIDE),
    "jobs-pipe": lambda: jobs.jobs(PIPE),
    "jobs-show": lambda: jobs.job(NARROW),
    "jobs-show-all": lambda: jobs.job(WIDE, every=True),
    "jobs-show-pipe": lambda: jobs.job(PIPE),
    "cron-adopt": lambda: jobs.adopt(NARROW),
    "cron-adopt-colour": lambda: jobs.adopt(COLOUR),
    "cron-adopt-applied": lambda: jobs.adopt(NARROW, applied=True),
    "cron-adopt-pipe": lambda: jobs.adopt(PIPE),
    "cron-check": lambda: jobs.check(NARROW),
    "cron-check-pipe": lambda: jobs.check(PIPE),
}


def main() -> int:
    """Writes all golden files anew, and removes those of screens that are gone."""
    for path in GOLDEN.glob("*.txt"):
        if path.stem not in SCREENS:
            path.unlink()
    for name, screen in SCREENS.items():
        (GOLDEN / f"{name}.txt").write_text(screen(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
