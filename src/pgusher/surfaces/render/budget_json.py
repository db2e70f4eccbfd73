"""The JSON form of a budget; `budget_schema.py` describes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgusher.model.budget import Amount, Claim, Sheet
from pgusher.surfaces.render.asjson import SCHEMA, gap_json


def budget_json(sheets: Sequence[Sheet]) -> dict[str, Any]:
    """What `pgusher budget --json` prints, and `pgusher budget check --json`."""
    return {"schema": SCHEMA, "kind": "budget", "budgets": [sheet_json(sheet) for sheet in sheets]}


def sheet_json(sheet: Sheet) -> dict[str, Any]:
    """One server's."""
    ceilings = sheet.ceilings
    limits = [] if ceilings is None else [("role", one) for one in ceilings.roles]
    limits += [] if ceilings is None else [("database", one) for one in ceilings.databases]
    return {
        "server": sheet.server,
        "fits": sheet.fits,
        "may_take": sheet.total,
        "ordinary": ceilings.ordinary if ceilings is not None else None,
        "over": sheet.over,
        "taken": sheet.taken,
        "unknown": [claim.holder for claim in sheet.unknown],
        "endless": [claim.holder for claim in sheet.endless],
        "max_connections": ceilings.max_connections if ceilings is not None else None,
        "superuser_reserved": ceilings.superuser_reserved if ceilings is not None else None,
        "reserved": ceilings.reserved if ceilings is not None else None,
        "limits": [{"kind": kind, "name": one.name, "limit": one.limit, "taken": one.used} for kind, one in limits],
        "caps": [
            {"name": cap.name, "limit": cap.limit, "holders": list(cap.holders), "saves": cap.saves}
            for cap in sheet.caps
        ],
        "holders": [claim_json(claim) for claim in sheet.claims],
        "gaps": [gap_json(gap) for gap in sheet.gaps],
    }


def claim_json(claim: Claim) -> dict[str, Any]:
    """One holder's."""
    return {
        "holder": claim.holder,
        "kind": claim.kind.value,
        "holds": claim.holds,
        "used": claim.used,
        "may": amount_json(claim.may),
        "peak": amount_json(claim.peak),
        "busiest": amount_json(claim.busiest),
        "processes": claim.processes,
        "each": claim.each,
        "roles": list(claim.roles),
        "databases": list(claim.databases),
        "budget": claim.budget or None,
        "declared": claim.declared.place if claim.declared is not None else None,
        "settings": [
            {"name": one.name, "value": one.value, "place": one.place, "times": one.times} for one in claim.settings
        ],
        "notes": list(claim.notes),
    }


def amount_json(amount: Amount | None) -> dict[str, Any] | None:
    """A number with its source."""
    if amount is None:
        return None
    return {
        "value": amount.value,
        "endless": amount.endless,
        "certainty": amount.certainty.value,
        "source": amount.source,
    }
