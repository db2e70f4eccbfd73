"""Facts without the names of a site: the chains hold together, and nothing planted comes through."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, get_type_hints

from hypothesis import given, settings

from pgusher.attribute import attribute
from pgusher.model import anonymous as anonymous_module
from pgusher.model import codec
from pgusher.model.anonymous import anonymous, walked
from pgusher.model.facts import Facts
from pgusher.model.loans import Loan
from pgusher.model.pools import PoolLimit
from pgusher.model.pseudonym import Pseudonyms
from pgusher.model.stacks import Clue, ClueKind, Frame, ThreadStack, WaitedFile
from tests.attribute.test_properties import all_facts
from tests.model.test_codec import FULL
from tests.surfaces import worlds
from tests.surfaces.findings import STACKS

SECRET = "zqxsecret"


WAITED = WaitedFile(3, "tcp", "socket:[7]", "10.0.0.7:443")
MORE = replace(
    FULL,
    loans=(Loan(7, 8, 1, True, 2, "/opt/a.py", 3, "worker-1", 4, "task-1"),),
    pools=(PoolLimit(7, "Grafana", "maxOpenConns", 100, "/etc/grafana/x.yaml", 3, "main"),),
    stacks=(
        replace(
            STACKS,
            threads=(*STACKS.threads, ThreadStack(9, name="x", files=(WAITED,), frames=(Frame("f", "/opt/a.py", 1),))),
            clues=(Clue(ClueKind.NOT_IN_FINALLY, "self.todo.task_done", "/opt/a.py", 7, "work"),),
            gap=FULL.gaps[0],
            argv=("python", "a.py"),
        ),
    ),
)
"""Facts of the kinds that FULL has none of."""


def planted(value: Any, kept: frozenset[str]) -> Any:
    """The value with a secret in each of its texts."""
    if isinstance(value, tuple):
        return tuple(planted(item, kept) for item in value)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed: dict[str, Any] = {}
    for field in fields(value):
        inner = getattr(value, field.name)
        if f"{type(value).__name__}.{field.name}" in kept:
            continue
        if isinstance(inner, str) and not isinstance(inner, Enum):
            changed[field.name] = f'{inner} "{SECRET}" /{SECRET}/x'
        elif isinstance(inner, tuple) and inner and isinstance(inner[0], str):
            changed[field.name] = tuple(f"{item} {SECRET}" for item in inner)
        else:
            changed[field.name] = planted(inner, kept)
    return replace(value, **changed)


def test_no_field_of_any_fact_brings_a_secret_through() -> None:
    worlds_facts = [snapshot.facts for snapshot in (worlds.incident(), worlds.half_blind(), worlds.quiet())]
    for given_facts in (FULL, MORE, *worlds_facts):
        facts = planted(given_facts, anonymous_module._KEPT)
        assert SECRET in json.dumps(codec.dump(facts))
        assert SECRET not in json.dumps(codec.dump(anonymous(facts, Pseudonyms())))


@given(all_facts)
@settings(max_examples=60)
def test_any_facts_stay_facts(facts: Facts) -> None:
    names = Pseudonyms()
    new = anonymous(facts, names)
    assert codec.load(Facts, codec.dump(new)) == new
    assert [s.pid for s in new.sessions] == [s.pid for s in facts.sessions]
    attribute(new)


def test_the_incident_is_told_the_same_by_other_names() -> None:
    facts = worlds.incident().facts
    names = Pseudonyms(["grafana"])
    new = anonymous(facts, names)
    before, after = attribute(facts), attribute(new)
    assert Counter(chain.end for chain in before.chains) == Counter(chain.end for chain in after.chains)
    assert [len(h.sessions) for h in before.holders] == [len(h.sessions) for h in after.holders]
    shown = json.dumps(codec.dump(new))
    for word in ("visits", "orders", "stock", "anna", "item"):
        assert not re.search(rf"\b{word}\b", shown), word
    assert "SELECT" in shown


def test_the_fields_that_are_kept_exist() -> None:
    known = set()
    todo: list[Any] = [Facts]
    while todo:
        kind = todo.pop()
        hints = get_type_hints(kind)
        for name, hint in hints.items():
            known.add(f"{kind.__name__}.{name}")
            text = [hint, *getattr(hint, "__args__", ())]
            todo += [one for one in text if isinstance(one, type) and is_dataclass(one)]
    for place in (
        *anonymous_module._KEPT,
        *anonymous_module._TOLD,
        *anonymous_module._KINDS,
        *anonymous_module._SPECIAL,
    ):
        assert place in known, place


def test_what_is_no_value_of_the_model_is_left_alone() -> None:
    assert walked(3, Pseudonyms()) == 3
    assert walked(None, Pseudonyms()) is None


def test_frames_of_the_standard_library_and_known_packages_stay() -> None:
    names = Pseudonyms(modules=["queue", "threading"])
    for file in (
        "/usr/lib/python3.11/queue.py",
        "/opt/acme/venv/lib/python3.11/site-packages/psycopg_pool/pool.py",
        "/usr/lib/python3/dist-packages/requests/sessions.py",
        "<frozen runpy>",
    ):
        new = walked(Frame("Queue.join", file, 90, "self.all_tasks_done.wait()"), names)
        assert (new.function, new.line, new.text) == ("Queue.join", 90, "")
        assert new.file.rpartition("python")[2] == file.rpartition("python")[2]
        assert "acme" not in new.file


def test_frames_of_the_site_lose_their_names() -> None:
    names = Pseudonyms(modules=["queue"])
    for file in (
        "/opt/acme/billing.py",
        "/usr/lib/python3.11/acme.py",
        "/usr/lib/python3.11/queue.py/acme/billing.py",
        "/v/lib/python3.11/site-packages/acme/billing.py",
        "/v/lib/python3.11/site-packages/acme/lib/python3.11/queue.py/billing.py",
        "billing.py",
        "<acme billing>",
    ):
        new = walked(Frame("Acme.charge", file, 7, "charge(acme)"), names)
        shown = f"{new.file} {new.function} {new.text}".lower()
        assert "acme" not in shown, file
        assert "billing" not in shown, file
        assert "charge" not in shown, file
    job = walked(Frame("main", "/opt/acme/billing.py", 7), names)
    assert names.strict("python3 /opt/acme/billing.py") == f"python3 {job.file}"
