"""Grafana for the commands: where it is asked, what of it is on this host, and the step that changes a limit."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from pgusher.app.config import Config
from pgusher.errors import RefusedError, UsageError
from pgusher.model.evidence import Gap
from pgusher.model.grafana import DataSource, Grafana, Seen
from pgusher.model.values import dataclass, replace

if TYPE_CHECKING:
    from pgusher.collect.grafana.client import Access, Client
    from pgusher.model.plan import SourceChange, Step
    from pgusher.model.process import Process
    from pgusher.model.snapshot import Snapshot

NO_GRAFANA = "no Grafana was found: none runs on this host, and none is named"
HOW = "PGUSHER_GRAFANA_URL=http://HOST:3000 and PGUSHER_GRAFANA_TOKEN, or --grafana-url and --grafana-token-file"


@dataclass(frozen=True, slots=True)
class Wish:
    """Which Grafana a person means."""

    url: str | None = None
    token_file: str | None = None


def access(
    wish: Wish, config: Config, environment: Mapping[str, str] | None = None
) -> tuple[Access, str | None] | None:
    """Where it is and its tokens, and the file that these came from; None when no URL is named.

    The command line stands above the environment (PGUSHER_GRAFANA_URL, PGUSHER_GRAFANA_TOKEN, GRAFANA_TOKEN), and that
    above `[grafana]` of the configuration. Raises UsageError.
    """
    from pgusher.collect.grafana.client import Access, check_url, read_tokens

    environment = os.environ if environment is None else environment
    url = wish.url or environment.get("PGUSHER_GRAFANA_URL") or config.grafana_url
    if not url:
        if wish.token_file is not None:
            raise UsageError("--grafana-token-file needs the URL of Grafana", hint="--grafana-url http://HOST:3000")
        return None
    file = wish.token_file
    if file is None and not (environment.get("PGUSHER_GRAFANA_TOKEN") or environment.get("GRAFANA_TOKEN")):
        file = config.grafana_token_file
    return Access(check_url(url), read_tokens(file, environment)), None if file is None else os.path.abspath(file)


def client_of(change: SourceChange, environment: Mapping[str, str] | None = None) -> Client:
    """The client for a step of a plan. Raises UsageError when its token is not there any more."""
    from pgusher.collect.grafana.client import Access, Client, check_url, read_tokens

    environment = os.environ if environment is None else environment
    tokens = read_tokens(change.token_file, environment)
    if not tokens:
        raise UsageError("no token was given for Grafana", hint="PGUSHER_GRAFANA_TOKEN=... as when it was planned")
    return Client(Access(check_url(change.url), tokens))


def find(asked: Access | None, processes: Iterable[Process], proc: str = "/proc") -> tuple[Grafana, ...]:
    """The Grafanas: that which is named, by its API, and those of this host, by their files. One is told once."""
    from pgusher.collect.grafana.host import read_host

    here = read_host(processes, proc)
    if asked is None:
        return here
    from pgusher.collect.grafana.api import read_api
    from pgusher.collect.grafana.client import Client

    return joined(read_api(Client(asked)), here)


def joined(named: Grafana, here: Sequence[Grafana]) -> tuple[Grafana, ...]:
    """The one that was asked, with what the host knows better of it: its processes, its own database, its files."""
    mine = {(one.org, one.uid) for one in named.sources}
    same = next((one for one in here if mine & {(source.org, source.uid) for source in one.sources}), None)
    if same is None:
        return named, *here
    places = {(one.org, one.uid): one for one in same.sources if one.place is not None}
    sources = tuple(
        replace(one, place=told.place, limit_place=told.limit_place)
        if (told := places.get((one.org, one.uid)))
        else one
        for one in named.sources
    )
    whole = replace(
        named,
        sources=sources,
        replicas=same.replicas,
        replicas_from=same.replicas_from,
        processes=same.processes,
        own=same.own,
        default_open=same.default_open,
    )
    return whole, *(one for one in here if one is not same)


def running(proc: str = "/proc") -> tuple[Process, ...]:
    """The Grafana servers among all processes of this host, also those that hold no session."""
    from pgusher.collect.grafana.host import is_grafana
    from pgusher.collect.processes import ProcessSource

    pids = [int(name) for name in os.listdir(proc) if name.isdigit() and _may_be(f"{proc}/{name}/comm")]
    return tuple(one for one in ProcessSource(proc=proc).look(pids).processes if is_grafana(one)) if pids else ()


def choose(grafanas: Iterable[Grafana], word: str) -> tuple[Grafana, DataSource]:
    """The data source of that name or uid.

    Raises UsageError when there is none, or several; RefusedError when it is not known which there are.
    """
    every = tuple(grafanas)
    org, _, rest = word.partition("/")
    found = [
        (one, source)
        for one in every
        for source in one.sources
        if word in {source.name, source.uid} or (org == str(source.org) and rest in {source.name, source.uid})
    ]
    # Processes with one configuration but another environment are Grafanas of their own with the same data source.
    if len({(one.name, source.org, source.uid, source.place) for one, source in found}) == 1:
        return found[0]
    known = sorted({f"{source.org}/{source.uid}" for _, source in found})
    if found:
        hint = f"name one: {', '.join(known[:10])}"
        if len(known) == 1:
            hint = f"{', '.join(sorted({one.name for one, _ in found})[:10])} have it: name one by --grafana-url"
        raise UsageError(f"{len(found)} data sources are called {word[:40]!r}", hint=hint)
    names = sorted({source.name for one in every for source in one.sources})
    unread = next((gap for gap in gaps_of(every) if "data sources" in gap.what), None)
    if unread is not None and not names:
        raise RefusedError(f"{unread.what} could not be read: {unread.why}", hint=unread.opens or None)
    hint = f"there are: {', '.join(names[:10])}" if names else HOW
    detail = f"{unread.what}: {unread.why}" if unread is not None else None
    raise UsageError(f"there is no PostgreSQL data source {word[:40]!r}", detail=detail, hint=hint)


def limit_step(
    grafana: Grafana,
    source: DataSource,
    most: int | None,
    asked: Access | None,
    token_file: str | None,
    snapshot: Snapshot,
) -> Step:
    """The step that sets a limit by the API. Raises RefusedError when it cannot be made."""
    from pgusher.collect.grafana.client import Client, GrafanaError
    from pgusher.collect.grafana.whole import read_whole
    from pgusher.model.grafana_servers import points_at
    from pgusher.remedy.plan.sources import source_step

    if grafana.seen is not Seen.API or asked is None:
        raise RefusedError(f"data source {source.name} was seen in files: the API was not asked", hint=HOW)
    try:
        whole = read_whole(Client(asked), source.org, source.uid, source.id, grafana.version)
    except GrafanaError as error:
        raise RefusedError(f"data source {source.name} could not be read: {error}", hint=error.opens or None) from None
    if whole.told.get("readOnly") is True:
        raise RefusedError(f"data source {source.name} is provisioned: the API cannot change it")
    here = points_at(source, snapshot.facts) is not False
    sessions = snapshot.facts.sessions
    return source_step(grafana, source, most, whole.limit, whole.fields, sessions, token_file, here=here)


def gaps_of(grafanas: Iterable[Grafana]) -> tuple[Gap, ...]:
    """All that could not be read of them."""
    return tuple(dict.fromkeys(gap for one in grafanas for gap in one.gaps))


def _may_be(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"grafana" in file.read(16)
    except OSError:
        return False
