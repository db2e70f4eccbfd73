"""Steps about Grafana's data sources: another limit for the pool of one of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pgusher.attribute.shell import quote
from pgusher.diagnose.text import count
from pgusher.model.findings import Safety
from pgusher.model.grafana import DataSource, Grafana
from pgusher.model.plan import Lever, SourceChange, Step
from pgusher.model.redact import redact_text
from pgusher.model.session import Session
from pgusher.model.text import clean

_LIMIT = re.compile(r"[1-9][0-9]{0,4}|100000")
"""What `pgusher grafana limit` takes as a number."""


def sessions_of(user: str, database: str, sessions: Iterable[Session]) -> tuple[Session, ...]:
    """The sessions that a data source may have: all of its role in its database."""
    return tuple(one for one in sessions if one.takes_slot and one.user == user and one.database == database)


def source_step(
    grafana: Grafana,
    source: DataSource,
    most: int | None,
    before: str,
    fields: Sequence[str],
    sessions: Iterable[Session],
    token_file: str | None = None,
    *,
    here: bool = True,
) -> Step:
    """A step that sets the limit of a data source, with what it has now.

    `most`: sessions, None for the default; `before` and `fields`: as `SourceChange` has them. `here`: False when it
    leads to another server than that of `sessions`, or to a pooler before it.
    """
    now = len(sessions_of(source.user, source.database, sessions))
    wanted = source.user, source.database, source.port
    alike = sum((one.user, one.database, one.port) == wanted for one in grafana.sources) - 1
    back = max(0, now - most * grafana.replicas) if most is not None and alike < 1 and here else 0
    preview = f"role {source.user} has {count(now, 'session')} in {source.database} now"
    if not here:
        preview += f"; it leads to {source.where}, so whether they are its own is not told"
    elif alike > 0:
        preview += f", those of {count(alike, 'other data source')} among them"
    if grafana.replicas > 1 and most is not None:
        preview += f"; {grafana.replicas} processes of Grafana take {most} each"
    preview += "; both pools exist until the old one is closed, about 5 s after the next query"
    return Step(
        0,
        Lever.SOURCE,
        f"let data source {source.name} take {_said(most)}; before: {_shown(before) or 'its default'}",
        Safety.SAFE,
        "",
        preview,
        holder=f"grafana/{source.name}",
        source=SourceChange(
            grafana.name,
            source.org,
            source.uid,
            source.name,
            before,
            most,
            tuple(fields),
            source.id,
            grafana.version,
            token_file,
            source.user,
            source.database,
            grafana.replicas,
            max(0, alike),
            "" if here else source.where,
        ),
        slots=back,
        undo=(_undo(grafana, source, before),),
    )


def quoted(source: DataSource) -> str:
    """The word by which `pgusher grafana limit` finds it: its uid where its name would be taken apart. No shell's."""
    plain = source.name.replace("-", "").replace("_", "")
    alone = plain.isascii() and plain.isalnum() and not source.name.startswith("-")
    return source.name if alone or not source.uid else source.uid


def _undo(grafana: Grafana, source: DataSource, before: str) -> str:
    """What brings the limit back. Whatever is a stranger's text is quoted: a person pastes this into a shell."""
    if before and not _LIMIT.fullmatch(before):
        # 0, or what is no number: `pgusher grafana limit` sets no such thing.
        said = f"set maxOpenConns of data source {source.name} to {_shown(before)} in Grafana"
        return f"{said}: pgusher sets no such limit"
    alone = [one.name for one in grafana.sources].count(source.name) < 2
    word = quoted(source) if alone else f"{source.org}/{source.uid}"
    return f"pgusher grafana limit {quote(word)} {before or 'default'}"


def _shown(before: str) -> str:
    return clean(redact_text(before))[:80]


def _said(most: int | None) -> str:
    return "its default" if most is None else f"{count(most, 'session')} at most"
