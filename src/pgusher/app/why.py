"""Why the slots are held: a look, the stacks of the processes that matter, and what the rules make of both."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgusher.diagnose import engine
from pgusher.errors import ConfigError, PgusherError
from pgusher.model.findings import Diagnosis, Severity
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import dataclass

if TYPE_CHECKING:
    from pgusher.app.config import Config
    from pgusher.app.look import Look


def diagnose(look: Look, config: Config, earlier: Look | None = None) -> tuple[Diagnosis, ...]:
    """What the rules find, for each snapshot of the look in its order.

    `earlier` is the look before, of which rules about coming and going need the same server's snapshot. Raises
    ConfigError when the configuration names a rule that there is not.
    """
    check_rules(config)
    before = earlier.snapshots if earlier is not None else ()
    return tuple(
        engine.diagnose(
            snapshot,
            earlier=_same_server(snapshot, before),
            ignore=config.ignore,
            ratios=dict(config.ratios),
        )
        for snapshot in look.snapshots
    )


def _same_server(snapshot: Snapshot, others: Sequence[Snapshot]) -> Snapshot | None:
    server = snapshot.facts.server
    same = (one for one in others if (one.facts.server.port, one.facts.server.host) == (server.port, server.host))
    return next(same, None)


def check_rules(config: Config) -> None:
    """Raises ConfigError, with the place, for a name in the configuration that is no rule's."""
    told = [(f"ignore[{at}]", name.partition(":")[0]) for at, name in enumerate(config.ignore)]
    told += [(f"ratios.{name[:40]}", name) for name, _ in config.ratios]
    names = engine.names() if told else ()
    for place, name in told:
        if name not in names:
            import difflib  # late: only a person who mistyped waits for it

            near = difflib.get_close_matches(name[:100], names, n=1)
            hint = f"did you mean {near[0]}?" if near else "all rules: pgusher rules"
            raise ConfigError(f"{config.path}: {place}: no rule is called {name[:40]!r}", hint=hint)


@dataclass(frozen=True, slots=True)
class RuleInfo:
    """What a list of rules says of one."""

    name: str
    severity: Severity
    """The worst that it can give."""
    summary: str


def rules() -> tuple[RuleInfo, ...]:
    """All rules, by name."""
    return tuple(RuleInfo(rule.name, _severity(rule), rule.summary) for rule in engine.rules())


def _severity(rule: engine.Rule) -> Severity:
    """The worst severity that occurs in a rule's module, or is reckoned there from the room that is left."""
    module = sys.modules[rule.check.__module__]
    used: set[str] = set()
    for value in vars(module).values():
        if callable(value) and getattr(value, "__module__", None) == module.__name__ and hasattr(value, "__code__"):
            used.update(value.__code__.co_names)
    if used & {"CRITICAL", "severity"}:
        return Severity.CRITICAL
    return Severity.WARNING if "WARNING" in used else Severity.NOTE


def page(name: str) -> str:
    """The page of a rule, in Markdown. Raises PgusherError when it cannot be read."""
    path = next(rule.page for rule in engine.rules() if rule.name == name)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PgusherError(f"the page of {name} could not be read: {reason}", detail=path) from None
