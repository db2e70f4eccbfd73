"""Why the slots are held: a look, the stacks of the processes that matter, and what the rules make of both."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgusher.app.recorded import past_of
from pgusher.diagnose import engine
from pgusher.errors import ConfigError, PgusherError
from pgusher.model.evidence import Gap
from pgusher.model.findings import Diagnosis
from pgusher.model.snapshot import Snapshot

if TYPE_CHECKING:
    from pgusher.app.config import Config
    from pgusher.app.look import Look
    from pgusher.model.stacks import Hang


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
            hangs=hangs(snapshot),
            earlier=_same_server(snapshot, before),
            history=past_of(snapshot, config.store),
            budgets=config.budgets,
            ignore=config.ignore,
            ratios=dict(config.ratios),
        )
        for snapshot in look.snapshots
    )


def unchanged(look: Look, before: Look) -> bool:
    """Whether nothing but time has passed between two looks of a watch."""
    pairs = list(zip(look.snapshots, before.snapshots, strict=False))
    return len(pairs) == len(look.snapshots) == len(before.snapshots) and all(
        new.holders is old.holders
        and (new.facts.server, new.facts.view, new.facts.ceilings)
        == (old.facts.server, old.facts.view, old.facts.ceilings)
        and len(new.facts.sessions) == len(old.facts.sessions)
        and all(one is other or one.own for one, other in zip(new.facts.sessions, old.facts.sessions, strict=True))
        for new, old in pairs
    )


def hangs(snapshot: Snapshot) -> tuple[Hang, ...] | Gap | None:
    """What the stacks in a snapshot show; the gap where they could not be taken, None when nobody asked for them."""
    if snapshot.facts.stacks:
        from pgusher.diagnose.hangs import find_hangs  # late: the bare command has no stacks

        return find_hangs(snapshot.facts.stacks, snapshot.facts)
    return next((gap for gap in snapshot.facts.gaps if gap.source == "stacks"), None)


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


def page(name: str) -> str:
    """The page of a rule, in Markdown. Raises PgusherError when it cannot be read."""
    import pkgutil  # late: only `explain` needs it; it reads out of a zip, too

    path = next(rule.page for rule in engine.rules() if rule.name == name)
    try:
        return (pkgutil.get_data("pgusher.diagnose.rules", os.path.basename(path)) or b"").decode()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PgusherError(f"the page of {name} could not be read: {reason}", detail=path) from None
