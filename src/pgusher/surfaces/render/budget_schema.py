"""The part of the JSON Schema that is about budgets."""

from __future__ import annotations

from typing import Any

from pgusher.model.evidence import Certainty
from pgusher.model.holder import HolderKind
from pgusher.surfaces.render import schema as parts

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_MAYBE_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_BOOL: dict[str, Any] = {"type": "boolean"}
_MAYBE_BOOL: dict[str, Any] = {"type": ["boolean", "null"]}
_NUMBER: dict[str, Any] = {"type": "integer"}
_REAL: dict[str, Any] = {"type": "number", "minimum": 0}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_MAYBE: dict[str, Any] = {"type": ["integer", "null"]}


def budget_definitions() -> dict[str, Any]:
    """The definitions, by name; "budget", "budget_plan" and "budget_sizing" are whole pages."""
    page, an_object, a_list, ref, one_of = parts.page, parts.an_object, parts.a_list, parts.ref, parts.one_of
    maybe_amount = {"oneOf": [ref("amount"), {"type": "null"}]}
    return {
        "budget": page("budget", budgets=a_list("sheet")),
        "budget_plan": page("budget_plan", proposals=a_list("proposal")),
        "budget_sizing": page("budget_sizing", cores=_MAYBE, pools=a_list("sized"), unmeasured=_TEXTS),
        "sized": an_object(holder=_TEXT, pool=_TEXT, processes=_COUNT, max_size=_COUNT, may=_COUNT, used=_COUNT,
                           busiest=_COUNT, loans=_COUNT, loans_per_second=_REAL, loan_ms=_REAL, mean=_REAL,
                           seconds=_REAL, proposed=_MAYBE, at_limit=_BOOL, text=_TEXT),
        "proposal": an_object(server=_TEXT, fits=_BOOL, ordinary=_COUNT, people=_COUNT, deploy=_COUNT, give=_NUMBER,
                              shares=a_list("share"), limits=a_list("role_limit"), first=_TEXTS, instead=_TEXTS),
        "share": an_object(holder=_TEXT, minimum=_COUNT, maximum=_COUNT, wanted=_COUNT, known=_BOOL,
                           processes=_COUNT, why=_TEXT, by_hand=_TEXTS),
        "role_limit": an_object(role=_TEXT, limit=_COUNT),
        "sheet": an_object(server=_TEXT, fits=_MAYBE_BOOL, may_take=_COUNT, ordinary=_MAYBE, over=_MAYBE, taken=_COUNT,
                           unknown=_TEXTS, endless=_TEXTS, max_connections=_MAYBE, superuser_reserved=_MAYBE,
                           reserved=_MAYBE, limits=a_list("named_limit"), caps=a_list("cap"), holders=a_list("claim"),
                           gaps=a_list("gap")),
        "named_limit": an_object(kind={"enum": ["role", "database"]}, name=_TEXT, limit=_COUNT, taken=_COUNT),
        "cap": an_object(name=_TEXT, limit=_COUNT, holders=_TEXTS, saves=_NUMBER),
        "claim": an_object(holder=_TEXT, kind=one_of(HolderKind), holds=_COUNT, used=_COUNT, may=ref("amount"),
                           peak=maybe_amount, busiest=maybe_amount, processes=_COUNT, each=_MAYBE, roles=_TEXTS,
                           databases=_TEXTS, budget=_MAYBE_TEXT, declared=_MAYBE_TEXT, settings=a_list("limiting"),
                           notes=_TEXTS),
        "limiting": an_object(name=_TEXT, value=_TEXT, place=_TEXT, times=_COUNT),
        "amount": an_object(value=_MAYBE, endless=_BOOL, certainty=one_of(Certainty), source=_TEXT),
    }  # fmt: skip
