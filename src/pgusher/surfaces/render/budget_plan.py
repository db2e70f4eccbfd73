"""The screen and the JSON of `pgusher budget plan`: who is to have what, by which arithmetic."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from pgusher.model.proposal import Proposal, Share
from pgusher.surfaces.render import words
from pgusher.surfaces.render.asjson import SCHEMA
from pgusher.surfaces.render.screen import BLANK, Line, Screen, flow
from pgusher.surfaces.render.state import fact_line
from pgusher.surfaces.render.table import Cell, Column, table

_COLUMNS = (
    Column("holder", least=16), Column("min", right=True), Column("max", right=True), Column("now", right=True),
    Column("by", least=20),
)  # fmt: skip


def plan_page(screen: Screen, proposals: Sequence[Proposal]) -> list[Line]:
    """One proposal for each server whose ceilings are known."""
    lines: list[Line] = []
    for index, one in enumerate(proposals):
        lines += [BLANK] if index else []
        lines += _pipe(screen, one) if screen.pipe else _page(screen, one)
    return lines


def arithmetic(one: Proposal) -> list[str]:
    """Where the slots to be divided are from."""
    whose = f" (one process of {one.deploys})" if one.deploys else ""
    return [
        (
            f"{one.ordinary} for ordinary roles - {one.people} for people - {one.deploy} for a rolling deploy{whose} = "
            f"{one.give} to be divided"
        ),
        f"minimums {one.least}, maximums {one.most} of {one.give}"
        + (f" ({one.most + one.kept} without the limits over several of them)" if one.kept else ""),
    ]


def by_hand(share: Share, done: Collection[str] = ()) -> list[str]:
    """What a person changes, each with its place: the exact setting. `done`: data sources that others tell of."""
    if not share.changes:
        return []
    if not share.settings:
        return [f"{share.holder}: keep it to {share.maximum}: nothing tells where its limit is set"]
    each = share.maximum // share.processes
    said = []
    for one, most in share.shared_out():
        if one.source and one.source in done:
            continue
        if one.name == "runs at once":
            said.append(f"{share.holder}: one run at a time: pgusher run in {one.place}")
        elif one.name == "--workers":
            said.append(f"{share.holder}: {one.place}: a pool of {each} in each of {share.processes} workers")
        elif one.name == "total":
            said.append(f"{share.holder}: {one.place}: total = {share.maximum} instead of {one.value}")
        else:
            said.append(f"{share.holder}: {one.place}: {one.name} {most} instead of {one.value}")
    return said


def raising(one: Proposal) -> list[str]:
    """What raising max_connections would cost, and whether it is the answer."""
    found = one.raising
    if found is None:
        return []
    cost = (
        f"each more slot takes {found.backend_kb / 1024:.1f} MB once it is used ({found.source}), and what its "
        "statements take; it needs a restart, which ends all sessions, and each standby needs as many before it"
    )
    if found.more:
        mega = found.more * found.backend_kb / 1024
        cost = f"max_connections {found.to}, {found.more} more, would be {mega:.0f} MB when all are taken: {cost}"
    if found.against:
        return [f"raising max_connections is not the answer yet: {words.listed(list(found.against), 3)}", cost]
    return ["raising max_connections is the answer: all holders are known, and need more at once than there is", cost]


def _page(screen: Screen, one: Proposal) -> list[Line]:
    head = "a proposal that fits" if one.fits else "nothing fits"
    lines: list[Line] = [[("FITS" if one.fits else "TOO MUCH", "good" if one.fits else "alarm"), (f": {head}", "bold")]]
    for text in [one.server, *arithmetic(one)]:
        lines += flow(screen, [text])
    rows: list[list[Cell]] = [
        [(share.holder, "name"), str(share.minimum), (str(share.maximum), "bold"),
         str(share.wanted) if share.known else "?", (share.why, "")]
        for share in one.shares
    ]  # fmt: skip
    lines += [BLANK, *table(screen, _COLUMNS, rows)]
    told = [("by hand", text) for share in one.shares for text in by_hand(share)]
    told += [("first", text) for text in one.gives] + [("instead", text) for text in raising(one)]
    if told:
        lines.append(BLANK)
    for name, text in told:
        lines += flow(screen, [f"{name}: {text}"], "", "")
    return lines


def _pipe(screen: Screen, one: Proposal) -> list[Line]:
    lines = [fact_line(screen, "status", "fits" if one.fits else "too much"), fact_line(screen, "server", one.server)]
    lines += [fact_line(screen, "arithmetic", text) for text in arithmetic(one)]
    lines += [fact_line(screen, "by hand", text) for share in one.shares for text in by_hand(share)]
    lines += [fact_line(screen, "first", text) for text in one.gives]
    lines += [fact_line(screen, "instead", text) for text in raising(one)]
    rows = [
        (share.holder, str(share.minimum), str(share.maximum), str(share.wanted) if share.known else "?", share.why)
        for share in one.shares
    ]
    return [*lines, BLANK, *table(screen, _COLUMNS, rows)]


def proposals_json(proposals: Sequence[Proposal]) -> dict[str, Any]:
    """What `pgusher budget plan --json` prints."""
    return {
        "schema": SCHEMA,
        "kind": "budget_plan",
        "proposals": [
            {
                "server": one.server, "fits": one.fits, "ordinary": one.ordinary, "people": one.people,
                "deploy": one.deploy, "give": one.give,
                "shares": [
                    {"holder": share.holder, "minimum": share.minimum, "maximum": share.maximum,
                     "wanted": share.wanted, "known": share.known, "processes": share.processes, "why": share.why,
                     "by_hand": by_hand(share)}
                    for share in one.shares
                ],
                "limits": [{"role": role, "limit": limit} for role, limit in one.limits],
                "first": list(one.gives), "instead": raising(one),
            }
            for one in proposals
        ],
    }  # fmt: skip
