"""Which panel is it: how long an index of 5,000 panels takes, how long a query, and how often it is right.

    python bench/panels.py [--quick] [--panels N] [--corpus DIRECTORY]

Without --corpus the dashboards are made up (tests/bed/grafana_corpus.py); with it they are the *.json below it, whoever
made them. The queries are made by tests/bed/grafana_sender.py, which shares no code with the matcher: plain, with
comments stripped, also out of strings (12.4.0 to 12.4.2), and as a TimescaleDB source; whole, and cut at several sizes.
Each SQL that several panels keep is one: which of them sent it no text can tell.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pgusher.attribute.panels.index import PanelIndex
from pgusher.collect.grafana.dashboard_json import read_dashboard
from pgusher.model.panels import Fit, Panel
from tests.bed.grafana_corpus import dashboards
from tests.bed.grafana_sender import Sender, shown

SIZES = None, 1024, 256, 512, 4096
WAYS: tuple[tuple[str, dict[str, bool]], ...] = (
    ("plain", {}),
    ("comments stripped", {"strips": True}),
    ("comments stripped out of strings too", {"blind": True}),
    ("timescale", {"timescale": True}),
)


def read(corpus: Path | None, panels: int) -> list[Panel]:
    """The panels of a directory's dashboards, or made up ones."""
    made: list[Any] = list(dashboards(panels)) if corpus is None else []
    for path in sorted(corpus.rglob("*.json")) if corpus is not None else ():
        try:
            made.append(json.loads(path.read_bytes()))
        except ValueError as error:
            print(f"{path}: {error}", file=sys.stderr)
    return [panel for one in made for panel in read_dashboard(one)[0]]


def judge(index: PanelIndex, panels: list[Panel], limit: int | None, every: int) -> dict[str, int]:
    """How often the true panel is among the candidates, is the exact one, is not the one called exact."""
    told = dict.fromkeys(("tried", "among", "exact", "same SQL", "wrong exact", "microseconds"), 0)
    took = []
    for number, panel in enumerate(panels[::every]):
        for way, options in WAYS:
            query = Sender(number, **options).send(panel.sql)
            text = shown(query, limit) if limit else query
            start = time.perf_counter()
            match = index.match(text)
            took.append(time.perf_counter() - start)
            told["tried"] += 1
            told["among"] += panel in match.panels
            if match.fit in (Fit.EXACT, Fit.SAME_SQL):
                told["exact" if match.fit is Fit.EXACT else "same SQL"] += panel in match.panels
                told["wrong exact"] += panel not in match.panels
            if panel not in match.panels and "-v" in sys.argv:
                print(f"-- {way}: {match.fit.value}\n{panel.sql}\n-- as\n{text}", file=sys.stderr)
    told["microseconds"] = round(statistics.median(took) * 1e6)
    told["worst"] = round(max(took) * 1e6)
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--panels", type=int, default=5000)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("-v", action="store_true", help="show what was missed")
    arguments = parser.parse_args()
    panels = read(arguments.corpus, arguments.panels)
    builds = []
    for _ in range(1 if arguments.quick else 3):
        start = time.perf_counter()
        index = PanelIndex(panels)
        builds.append(time.perf_counter() - start)
    print(f"{len(panels)} panels, {len({panel.sql for panel in panels})} different; index {min(builds):.2f} s")
    different = list({panel.sql: panel for panel in panels}.values())
    every = max(1, len(different) // (200 if arguments.quick else 1000))
    for limit in SIZES[: 2 if arguments.quick else None]:
        index = PanelIndex(panels, limit=limit or 1 << 20)
        told = judge(index, different, limit, every)
        tried = told["tried"] or 1
        print(
            f"{f'cut at {limit:,}' if limit else 'whole'}: {tried} queries, true panel among the candidates "
            f"{told['among'] / tried:.2%}, exactly one {told['exact'] / tried:.1%}, one of several with the same SQL "
            f"{told['same SQL'] / tried:.1%}, wrong {told['wrong exact']}; {told['microseconds']} us median, "
            f"{told['worst']} us worst"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
