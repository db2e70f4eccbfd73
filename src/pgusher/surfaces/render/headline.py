"""The first lines of every screen: how full the server is, which one it is, and from where it was seen."""

from __future__ import annotations

from pgusher.model.evidence import Certainty, Gap
from pgusher.model.server import Rung
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.render import words
from pgusher.surfaces.render.screen import Line, Screen, Span, flow
from pgusher.surfaces.render.tally import Status, Tally, by_sql, unstarted

_STYLES = {Status.NEAR: "warn", Status.UNKNOWN: "warn", Status.OK: "good", Status.UNSEEN: "warn"}


def verdict(screen: Screen, tally: Tally) -> Line:
    """The one line that a person reads first: "FULL: 97 of 97 ordinary slots taken, 3 of 3 reserved"."""
    word = tally.status.value.upper()
    style = _STYLES.get(tally.status, "alarm")
    if screen.colour and style == "alarm":
        return [(f" {word} ", style), (f" {verdict_text(tally)}", "bold")]
    return [(word, style), (f": {verdict_text(tally)}", "bold")]


def verdict_lines(screen: Screen, tally: Tally) -> list[Line]:
    """The verdict whole: on more lines where one has no room for it."""
    head, (text, style) = verdict(screen, tally)
    body = verdict_text(tally)
    indent = " " * (len(head[0]) + len(text) - len(body))
    first, *rest = flow(screen, [body], indent, style)
    return [[head, (text.removesuffix(body) + first[0][0].removeprefix(indent), style)], *rest]


def verdict_text(tally: Tally) -> str:
    """What stands behind the word: the counts of the worst, each with both sides."""
    if tally.crowded:
        return f"{waiting(tally.unstarted)} {'keeps' if tally.unstarted == 1 else 'keep'} the server from accepting"
    if tally.status is Status.FULL and _has_room(tally):
        return f"it refuses everybody, and {counts(tally)}"
    if tally.status is not Status.LIMIT:
        return counts(tally)
    if not tally.reached:
        return f"{tally.refused}, {counts(tally)}"
    kind, limit = tally.reached[0]
    more = f" and {len(tally.reached) - 1} more" if len(tally.reached) > 1 else ""
    return f"{limit.used} of {limit.limit} connections of {kind} {limit.name}{more}"


def waiting(count: int) -> str:
    """ "84 connections that have not started a session"."""
    return f"{words.count(count, 'connection')} that {'has' if count == 1 else 'have'} not started a session"


def _has_room(tally: Tally) -> bool:
    """Whether fewer slots are seen taken than a server has that refuses everybody."""
    return not tally.taken if tally.ordinary is None else tally.ordinary.taken < tally.ordinary.limit


def counts(tally: Tally) -> str:
    """ "97 of 97 ordinary slots taken, 3 of 3 reserved"."""
    if tally.ordinary is None:
        return f"{words.count(tally.taken, 'slot')} seen taken, the ceiling is not known"
    text = f"{tally.ordinary} ordinary slots taken"
    if tally.reserved is not None:
        return f"{text}, {tally.reserved} reserved, {tally.superuser} superuser"
    return f"{text}, {tally.superuser} reserved"


def server_words(snapshot: Snapshot) -> list[str]:
    """Which server it is and since when it runs."""
    server, now = snapshot.facts.server, snapshot.facts.taken_at
    version = f"PostgreSQL {server.version}" if server.version else "PostgreSQL"
    place = f"on {server.label}" if server.label.startswith("port") else f"at {server.label}"
    name = f" ({server.cluster_name})" if server.cluster_name else ""
    text = f"{version} {place}{name}"
    if server.in_recovery:
        text += ", a standby"
    return [text, f"up {words.age(server.started, now)}"] if server.started is not None else [text]


def seen_from(snapshot: Snapshot) -> str:
    """From which rung of the ladder it was seen, and as whom."""
    view, host = snapshot.facts.view, snapshot.facts.host
    role = f" as {view.role}" if view.role else ""
    user = f" as {host.user or f'uid {host.uid}'}"
    return {
        Rung.HELD: f"seen over a held connection{role}",
        Rung.ORDINARY: f"seen through an ordinary slot{role}",
        Rung.RESERVED: f"seen through a reserved slot{role}",
        Rung.TITLES: f"seen without SQL, by process titles and sockets,{user}",
        Rung.NONE: f"sessions not seen,{user}",
    }[view.rung]


def refusal(snapshot: Snapshot) -> str:
    """Whom the server refuses, in its own words; "" when it refuses nobody."""
    view = snapshot.facts.view
    if view.refuses_all:
        return f'refuses everybody: "{view.refuses}"' if view.refuses else "refuses everybody, superusers too"
    if not view.refuses:
        lacked = view.lacked
        if lacked is None:
            return ""
        by = "" if lacked.refused_by in {None, "postgres"} else f"{lacked.refused_by} "
        return f'{by}refused us: "{lacked.outcome}"'
    whom = "refuses ordinary roles" if view.rung is not Rung.NONE or view.superuser is False else "refused us"
    return f'{whom}: "{view.refuses}"'


def unasked(snapshot: Snapshot) -> str:
    """Why it was not seen by SQL, though that was tried; "" when a refusal for lack of slots tells it."""
    attempts = snapshot.facts.view.attempts
    if by_sql(snapshot) or not attempts or refusal(snapshot):
        return ""
    return f'could not ask the server: "{attempts[-1].outcome}"'


def unstarted_words(snapshot: Snapshot) -> str:
    """Who has the connections without a session: "not started: 84 of script/raw.py"; "" when there are none."""
    found = [f"{count} of {name}" for name, count in unstarted(snapshot).items()]
    more = [f"{len(found) - 3} more"] if len(found) > 3 else []
    return f"not started: {words.listed([*found[:3], *more])}" if found else ""


def ceiling_note(snapshot: Snapshot) -> str:
    """Said when the ceilings do not come from the running server."""
    ceilings = snapshot.facts.ceilings
    if ceilings is None or ceilings.certainty is Certainty.PROVEN:
        return ""
    return f"max_connections {ceilings.certainty.value} {ceilings.max_connections}, read from {ceilings.source}"


def limit_words(tally: Tally, snapshot: Snapshot, everything: bool) -> list[str]:
    """Role and database limits: those at or near the limit (but for one that the verdict names), or all of them."""
    ceilings = snapshot.facts.ceilings
    if ceilings is None:
        return []
    if not everything:
        told = 1 if tally.status is Status.LIMIT else 0
        close = (*tally.reached, *tally.near)[told:]
        return [f"{limit.used} of {limit.limit} for {kind} {limit.name}" for kind, limit in close]
    if not ceilings.roles and not ceilings.databases:
        return ["no role or database has one" if by_sql(snapshot) else "not known without SQL"]
    shown = [("role", limit) for limit in ceilings.roles] + [("database", limit) for limit in ceilings.databases]
    return [f"{limit.used} of {limit.limit} for {kind} {limit.name}" for kind, limit in shown]


def heading(screen: Screen, snapshot: Snapshot, tally: Tally, everything: bool = False) -> list[Line]:
    """Verdict, server, view, refusal and limits, in as few lines as the width allows."""
    behind = [counts(tally)] if (tally.status is Status.LIMIT and tally.reached) or tally.crowded else []
    if by_holder := unstarted_words(snapshot):
        behind.append(by_holder)
    facts = [*behind, *server_words(snapshot), seen_from(snapshot), refusal(snapshot), unasked(snapshot)]
    facts.append(ceiling_note(snapshot))
    lines = [*verdict_lines(screen, tally), *flow(screen, [fact for fact in facts if fact])]
    if limits := limit_words(tally, snapshot, everything):
        lines += flow(screen, ["connection limits: " + limits[0], *limits[1:]], style="warn" if tally.reached else "")
    return lines


def nobody(snapshot: Snapshot) -> str:
    """What is said in the place of a table without lines."""
    return "no session can be seen from here" if snapshot.facts.view.rung is Rung.NONE else "nobody is connected"


def gap_lines(gaps: tuple[Gap, ...], everything: bool = False) -> list[Line]:
    """What could not be seen, first and short: two lines, the rest by their number."""
    most = len(gaps) if everything or len(gaps) <= 2 else 1
    lines: list[Line] = []
    for index, gap in enumerate(gaps[:most]):
        first: Span = ("half-blind: ", "warn") if index == 0 else (" " * 12, "")
        lines.append([first, (f"{gap.what}: {gap.why}" if gap.why else gap.what, "")])
        if everything and gap.opens:
            lines.append([(" " * 12, ""), (f"to open it: {gap.opens}", "dim")])
    if most < len(gaps):
        lines.append([(" " * 12, ""), (f"and {len(gaps) - most} more gaps: --all shows them", "dim")])
    return lines
