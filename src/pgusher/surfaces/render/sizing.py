"""The screen and the JSON of `pgusher budget sizing`: how large pools are, were used, and have to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgusher.model.proposal import Size
from pgusher.surfaces.render import words
from pgusher.surfaces.render.asjson import SCHEMA
from pgusher.surfaces.render.screen import BLANK, Line, Screen, flow
from pgusher.surfaces.render.state import fact_line
from pgusher.surfaces.render.table import Cell, Column, table

_COLUMNS = tuple(
    Column(title, right=title not in {"holder", "pool"}, drop=drop)
    for title, drop in (("holder", 0), ("pool", 1), ("max", 0), ("used", 0), ("mean", 0), ("loans/s", 3), ("ms", 2),
                        ("propose", 0))
)  # fmt: skip


def said(one: Size) -> str:
    """What follows for one: "web uses at most 6 of 40"."""
    text = f"{one.holder} uses at most {one.used} of {one.may} ({one.processes} x max_size {one.max_size})"
    if one.young:
        return f"{text}; measured for {one.seconds:.0f} s and {one.loans} loans only: too little to conclude from"
    if one.at_limit:
        return f"{text}; a pool had all lent, so it may want more: db.stats() tells who waited (requests_queued)"
    if one.proposed < one.max_size:
        return f"{text}: max_size {one.proposed} is enough"
    return f"{text}: as large as it needs to be"


def sizing_page(screen: Screen, sizes: Sequence[Size], silent: Sequence[str], cores: int | None) -> list[Line]:
    """The table, what follows from it, and who is not in it."""
    rows: list[list[Cell]] = [
        [one.holder, one.pool, f"{one.processes} x {one.max_size}", str(one.used), f"{one.mean:.2f}",
         f"{one.per_second:.1f}", f"{one.loan_ms:.1f}", "-" if one.young else f"{one.processes} x {one.proposed}"]
        for one in sizes
    ]  # fmt: skip
    told = [said(one) for one in sizes]
    if cores is not None and sizes:
        used = sum(one.used for one in sizes)
        told.append(
            f"this host has {words.count(cores, 'core')}: beyond about {2 * cores + 1} statements at work at once they "
            f"wait for each other (cores x 2 + disks, PostgreSQL wiki); these pools lent {used} at most"
        )
    if silent:
        names = words.listed(list(silent), 4)
        told.append(f"nothing measures what is used by {names}: pools of pgusher's Database do")
    if screen.pipe:
        return [*(fact_line(screen, "sizing", text) for text in told), BLANK, *table(screen, _COLUMNS, rows)]
    lines: list[Line] = [*table(screen, _COLUMNS, rows), BLANK] if rows else []
    for text in told or ["no pool of pgusher's own holds a session here"]:
        lines += flow(screen, [text], "", "")
    return lines


def sizing_json(sizes: Sequence[Size], silent: Sequence[str], cores: int | None) -> dict[str, Any]:
    """What `pgusher budget sizing --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "budget_sizing",
        "cores": cores,
        "pools": [
            {
                "holder": one.holder, "pool": one.pool, "processes": one.processes, "max_size": one.max_size,
                "may": one.may, "used": one.used, "busiest": one.busiest, "loans": one.loans,
                "loans_per_second": one.per_second, "loan_ms": one.loan_ms, "mean": one.mean, "seconds": one.seconds,
                "proposed": None if one.young else one.proposed, "at_limit": one.at_limit, "text": said(one),
            }
            for one in sizes
        ],
        "unmeasured": list(silent),
    }  # fmt: skip
