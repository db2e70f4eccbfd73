"""The screen of `pgusher budget`: each holder with what it has and may take, the sum, and the ceilings above it."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.budget import Amount, Claim, Sheet
from pgusher.model.evidence import Certainty
from pgusher.surfaces.render import words
from pgusher.surfaces.render.headline import gap_lines
from pgusher.surfaces.render.screen import BLANK, Line, Screen, Span, flow
from pgusher.surfaces.render.state import fact_line
from pgusher.surfaces.render.table import Cell, Column, table

_COLUMNS = (
    Column("holder", least=16), Column("holds", right=True), Column("peak", right=True, optional=True),
    Column("may", right=True), Column("sure", drop=1, optional=True), Column("by", least=20),
)  # fmt: skip
_IN_A_PIPE = tuple(
    Column(title)
    for title in ("holder", "kind", "holds", "peak", "peak by", "used at most", "may", "certainty", "by", "processes",
                  "each", "roles", "budget")
)  # fmt: skip


def budget_page(screen: Screen, sheets: Sequence[Sheet], everything: bool = False) -> list[Line]:
    """One sheet for each server."""
    lines: list[Line] = []
    for index, sheet in enumerate(sheets):
        lines += [BLANK] if index else []
        lines += _pipe(screen, sheet) if screen.pipe else _page(screen, sheet, everything)
    return lines


def verdict(sheet: Sheet) -> str:
    """The one line: "the holders may take 152 of 97 slots: 55 too many"."""
    at_least = "at least " if sheet.unknown or sheet.endless else ""
    if sheet.ceilings is None:
        return f"the holders may take {at_least}{sheet.total} slots; how many there are is not known"
    said = f"the holders may take {at_least}{sheet.total} of {words.count(sheet.ceilings.ordinary, 'slot')}"
    over = sheet.over or 0
    if over > 0:
        return f"{said}: {over} too many"
    if sheet.endless:
        return f"{said}, and {words.count(len(sheet.endless), 'holder')} of them without limit"
    if sheet.unknown:
        return f"{said}; of {words.count(len(sheet.unknown), 'holder')} it is not known"
    return f"{said}: {-over} left"


def _style(sheet: Sheet) -> str:
    return {True: "good", False: "alarm", None: "warn"}[sheet.fits]


def heads(sheet: Sheet) -> tuple[str, str]:
    """The word before the verdict, and its style."""
    word = {True: "FITS", False: "TOO MUCH", None: "NOT KNOWN"}[sheet.fits]
    return word, _style(sheet)


def headline(screen: Screen, sheet: Sheet, text: str = "") -> list[Line]:
    """The verdict, on as many lines as it needs."""
    word, style = heads(sheet)
    first, *rest = flow(screen, [text or verdict(sheet)], " " * (len(word) + 2), "bold")
    body = first[0][0].lstrip(" ")
    return [[(word, style), (f": {body}", "bold")], *rest]


def _page(screen: Screen, sheet: Sheet, everything: bool) -> list[Line]:
    lines = headline(screen, sheet)
    lines += flow(screen, [sheet.server, *ceilings(sheet)])
    lines += gap_lines(sheet.gaps, everything)
    if not sheet.claims:
        return [*lines, [("nobody holds a slot, and nothing is declared", "")]]
    rows = [_row(claim) for claim in sheet.claims]
    held = sum(claim.holds for claim in sheet.claims)
    rows.append([("sum", "bold"), (str(held), "bold"), "", (_sum(sheet), "bold"), "", _sum_by(sheet)])
    lines += [BLANK, *table(screen, _COLUMNS, rows)]
    notes = [f"{claim.holder}: {note}" for claim in sheet.claims for note in claim.notes]
    notes += [_cap_text(cap.name, cap.limit, cap.holders) for cap in sheet.caps]
    if notes:
        lines.append(BLANK)
        for note in notes:
            lines += flow(screen, [note], "", "")
    if everything:
        lines.append(BLANK)
        for claim in sheet.claims:
            for text in _whole(claim):
                lines += flow(screen, [f"{claim.holder}: {text}"], "", "")
    return lines


def ceilings(sheet: Sheet) -> list[str]:
    """The four ceilings, with what is reserved."""
    found = sheet.ceilings
    if found is None:
        return ["its ceilings could not be read"]
    said = [f"max_connections {found.max_connections}", f"{found.superuser_reserved} reserved for superusers"]
    said += [f"{found.reserved} reserved for pg_use_reserved_connections"] if found.reserved else []
    said += [f"role {one.name} {one.used} of {one.limit}" for one in found.roles]
    said += [f"database {one.name} {one.used} of {one.limit}" for one in found.databases]
    if found.certainty is not Certainty.PROVEN:
        said.append(f"by {found.source}")
    return said


def may_words(claim: Claim) -> str:
    """ "40", "no limit" or "?"."""
    if claim.may.endless:
        return "no limit"
    return "?" if claim.may.value is None else str(claim.may.value)


def _row(claim: Claim) -> list[Cell]:
    style = "alarm" if claim.may.endless else "warn" if not claim.may.known else ""
    peak = str(claim.peak.value) if claim.peak is not None and claim.peak.value is not None else ""
    sure: Span = ("", "")
    if claim.may.certainty is not Certainty.PROVEN:
        sure = (claim.may.certainty.value, claim.may.certainty.value)
    return [(claim.holder, "name"), str(claim.holds), peak, (may_words(claim), style), sure, (claim.may.source, "")]


def _sum(sheet: Sheet) -> str:
    return f"{sheet.total}{'+' if sheet.unknown or sheet.endless else ''}"


def _sum_by(sheet: Sheet) -> Span:
    if not (sheet.unknown or sheet.endless):
        return "", ""
    return "what is not known counts with what it holds", "dim"


def _cap_text(name: str, limit: int, holders: Sequence[str]) -> str:
    return f"{name} keeps {words.listed(list(holders), 4)} to {limit} together"


def _whole(claim: Claim) -> list[str]:
    said = [f"may take {may_words(claim)}, {claim.may.certainty.value}: {claim.may.source}"]
    if not claim.may.known and not claim.may.endless:
        said = [f"what it may take is not known: {claim.may.source}"]
    for name, amount in (("had at most", claim.peak), ("used at most", claim.busiest)):
        if amount is not None:
            said.append(f"{name} {amount.value}, {amount.certainty.value}: {amount.source}")
    said += [f"{one.name} {one.value or 'is not told'}: {one.place}" for one in claim.settings]
    return said


def _pipe(screen: Screen, sheet: Sheet) -> list[Line]:
    lines = [
        fact_line(screen, "status", heads(sheet)[0].lower(), verdict(sheet)),
        fact_line(screen, "server", sheet.server),
    ]
    lines += [fact_line(screen, "ceiling", text) for text in ceilings(sheet)]
    lines += [fact_line(screen, "gap", gap.what, gap.why, gap.opens) for gap in sheet.gaps]
    lines += [fact_line(screen, "cap", cap.name, str(cap.limit), ", ".join(cap.holders)) for cap in sheet.caps]
    rows = [
        (
            claim.holder, claim.kind.value, str(claim.holds), _value(claim.peak),
            claim.peak.source if claim.peak else "", _value(claim.busiest), may_words(claim),
            claim.may.certainty.value, claim.may.source, str(claim.processes), str(claim.each or ""),
            ",".join(claim.roles), claim.budget,
        )
        for claim in sheet.claims
    ]  # fmt: skip
    return [*lines, BLANK, *table(screen, _IN_A_PIPE, rows)]


def _value(amount: Amount | None) -> str:
    return "" if amount is None or amount.value is None else str(amount.value)
