"""Steps about Grafana's data sources: another limit for the pool of one of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgusher.diagnose.text import count
from pgusher.model.findings import Safety
from pgusher.model.grafana import DataSource, Grafana
from pgusher.model.plan import Lever, SourceChange, Step
from pgusher.model.session import Session


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
) -> Step:
    """A step that sets the limit of a data source, with what it has now.

    `most`: sessions, None for the default; `before` and `fields`: as `SourceChange` has them.
    """
    now = len(sessions_of(source.user, source.database, sessions))
    back = max(0, now - most * grafana.replicas) if most is not None else 0
    preview = f"role {source.user} has {count(now, 'session')} in {source.database} now"
    if grafana.replicas > 1 and most is not None:
        preview += f"; {grafana.replicas} processes of Grafana take {most} each"
    preview += "; both pools exist until the old one is closed, about 5 s after the next query"
    return Step(
        0,
        Lever.SOURCE,
        f"let data source {source.name} take {_said(most)}; before: {before or 'its default'}",
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
        ),
        slots=back,
        undo=(f"pgusher grafana limit {quoted(source)} {before or 'default'}",),
    )


def quoted(source: DataSource) -> str:
    """A word by which a shell and `pgusher grafana limit` find it: its uid where its name would be taken apart."""
    plain = source.name.replace("-", "").replace("_", "")
    return source.name if plain.isascii() and plain.isalnum() and not source.name.startswith("-") else source.uid


def _said(most: int | None) -> str:
    return "its default" if most is None else f"{count(most, 'session')} at most"
