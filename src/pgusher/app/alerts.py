"""What is told to people who look at no screen: once when a cause comes up, once when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pgusher.app.live import Moment
from pgusher.model.address import Micros
from pgusher.model.findings import Severity
from pgusher.model.server import Server
from pgusher.model.values import dataclass

_LASTS: Micros = 10_000_000
"""So long must a cause be there before it is told: what comes and goes in between nobody can do anything about."""
_OVER: Micros = 30_000_000
"""So long must it be away before it is over."""
_UNSEEN: Micros = 30_000_000
_MOST = 500
"""Causes that are kept in mind at once."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to tell. Texts may hold what a stranger wrote: whoever shows them cleans them."""

    key: str
    """The cause: the server and the finding's id, "5432 stuck-job:cron/report"."""
    server: str
    rule: str
    severity: str
    message: str
    since: Micros
    at: Micros
    over: bool = False
    """False: it is there; True: it was told before, and has gone."""


@dataclass
class _Cause:
    alert: Alert
    seen: Micros
    told: bool = False


class Alerts:
    """Which causes there are, and which of them were told."""

    def __init__(self, severities: Iterable[Severity] = (Severity.CRITICAL, Severity.WARNING)) -> None:
        """`severities`: of findings that are told."""
        self._severities = frozenset(severities)
        self._causes: dict[str, _Cause] = {}
        self._blind_since: Micros | None = None

    def take(self, moment: Moment) -> list[Alert]:
        """What is to be told after this look."""
        now = moment.at
        if moment.error is None and moment.look is not None:
            self._blind_since = None
            for snapshot, diagnosis in zip(moment.look.snapshots, moment.diagnoses, strict=True):
                for finding in diagnosis.findings:
                    if finding.severity in self._severities:
                        place = _place(snapshot.facts.server)
                        severity = finding.severity.value
                        self._seen(f"{place} {finding.id}", place, finding.rule, severity, finding.message, now)
        else:
            self._blind_since = self._blind_since or now
            if now - self._blind_since >= _UNSEEN:
                words = str(moment.error) if moment.error is not None else "no server was seen"
                self._seen("all not-seen", "", "not-seen", Severity.CRITICAL.value, words, now)
            # Who sees nothing does not know that anything is over.
            for cause in self._causes.values():
                if cause.alert.rule != "not-seen":
                    cause.seen = now
        return self._due(now)

    def _seen(self, key: str, server: str, rule: str, severity: str, message: str, now: Micros) -> None:
        cause = self._causes.get(key)
        if cause is not None:
            cause.seen = now
        elif len(self._causes) < _MOST:
            self._causes[key] = _Cause(Alert(key, server, rule, severity, message, now, now), now)

    def _due(self, now: Micros) -> list[Alert]:
        told = []
        for key, cause in list(self._causes.items()):
            one = cause.alert
            if now - cause.seen >= _OVER or (not cause.told and cause.seen < now):
                del self._causes[key]
                if cause.told:
                    told.append(Alert(key, one.server, one.rule, one.severity, one.message, one.since, now, over=True))
            elif not cause.told and (now - one.since >= _LASTS or one.rule == "not-seen"):
                cause.told = True
                told.append(Alert(key, one.server, one.rule, one.severity, one.message, one.since, now))
        return told


def subject(alert: Alert) -> str:
    """One line: "pgusher: critical on 5432: 97 of 97 slots taken", or that it is over."""
    where = f" on {alert.server}" if alert.server else ""
    return f"pgusher: {'over' if alert.over else alert.severity}{where}: {alert.message}"


def as_json(alert: Alert) -> dict[str, object]:
    """For a webhook."""
    return {
        "schema": 1,
        "kind": "alert",
        "state": "over" if alert.over else "firing",
        "key": alert.key,
        "server": alert.server,
        "rule": alert.rule,
        "severity": alert.severity,
        "message": alert.message,
        "since_us": alert.since,
        "at_us": alert.at,
    }


def environment(alert: Alert) -> Mapping[str, str]:
    """For a command."""
    return {
        "PGUSHER_ALERT": "over" if alert.over else "firing",
        "PGUSHER_ALERT_KEY": alert.key,
        "PGUSHER_ALERT_SERVER": alert.server,
        "PGUSHER_ALERT_RULE": alert.rule,
        "PGUSHER_ALERT_SEVERITY": alert.severity,
        "PGUSHER_ALERT_MESSAGE": alert.message,
    }


def body(alert: Alert) -> str:
    """The text of a mail."""
    port = f" --port {alert.server}" if alert.server.isdigit() else ""
    look = [f"sudo pgusher{port}", f"sudo pgusher{port} why", f"sudo pgusher{port} free"]
    page = [] if alert.rule == "not-seen" else [f"pgusher explain {alert.rule}"]
    lines = [subject(alert), "", *(() if alert.over else ("What to type:", *(f"  {line}" for line in [*look, *page])))]
    return "\n".join(lines) + "\n"


def _place(server: Server) -> str:
    return server.label.removeprefix("port ")
