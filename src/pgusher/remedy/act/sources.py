"""The limit of a data source, set by Grafana's API: read whole, change one key, send it with its version, look again.

Grafana replaces the whole by what it gets, and takes an update whose version is not that of what it has only when it is
not older (pkg/services/datasources/service/store.go). So nothing is sent that was not read just before, and never
without a version. What somebody else changed meanwhile ends it: it is not overwritten.
"""

from __future__ import annotations

from collections.abc import Callable

from pgusher.attribute.shell import quote
from pgusher.collect.grafana.client import Client, GrafanaError
from pgusher.collect.grafana.whole import Whole, changed, read_whole
from pgusher.errors import UsageError
from pgusher.model.plan import OutcomeKind, SourceChange
from pgusher.model.text import clean
from pgusher.remedy.act.result import Result

TRIES = 4
"""How often it is read again when somebody else was faster."""
Clients = Callable[[SourceChange], Client]
"""The client for a change. Raises UsageError when there is no token."""


def set_limit(clients: Clients | None, step: SourceChange | None) -> Result:
    """The same with the client that is to be made."""
    if clients is None or step is None:
        return Result(OutcomeKind.FAILED, "Grafana could not be asked: there is no token", "PGUSHER_GRAFANA_TOKEN")
    try:
        return change(clients(step), step)
    except UsageError as error:
        return Result(OutcomeKind.FAILED, error.message, error.hint or "")


def change(client: Client, step: SourceChange) -> Result:
    """Set the limit. Raises nothing but what is a bug."""
    name = f"data source {clean(step.name)}"
    try:
        for _ in range(TRIES):
            whole = _read(client, step)
            speaks = _against(whole, step, name)
            if speaks is not None:
                return speaks
            result = _put(client, whole, step, name)
            if result is not None:
                return result
    except GrafanaError as error:
        return _failed(error, name, "datasources:read")
    return Result(OutcomeKind.REFUSED, f"somebody else changes {name}: {TRIES} of {TRIES} tries came too late")


def _read(client: Client, step: SourceChange) -> Whole:
    return read_whole(client, step.org, step.uid, step.id, step.grafana)


def _against(whole: Whole, step: SourceChange, name: str) -> Result | None:
    """Why it is not what the plan was made for; that it is done already; None when nothing speaks against it."""
    if whole.limit == _wanted(step):
        return Result(OutcomeKind.GONE, f"{name} has that limit already")
    other = ", ".join(changed(step.fields, whole.fields)[:5])
    if not other and whole.limit != step.before:
        other = f"its limit was {_said(step.before)}, it is {_said(whole.limit)}"
    if other:
        return Result(OutcomeKind.REFUSED, f"{name} has changed since the plan was made: {other}", "make a new plan")
    if whole.told.get("readOnly") is True:
        return Result(OutcomeKind.REFUSED, f"{name} is provisioned: the API cannot change it", _patch(step))
    if not whole.version:
        return Result(OutcomeKind.REFUSED, f"{name} tells no version: an update could overwrite another's")
    return None


def _put(client: Client, whole: Whole, step: SourceChange, name: str) -> Result | None:
    """Send it; None when somebody else was faster."""
    try:
        answer = client.put(whole.path, whole.token, whole.with_limit(step.after))
    except GrafanaError as error:
        if error.status == 409:
            return None
        if error.status == 403 and "read-only" in str(error).lower():
            return Result(OutcomeKind.REFUSED, f"{name} is provisioned: the API cannot change it", _patch(step))
        if error.status is not None and 300 <= error.status < 500:
            return _failed(error, name, "datasources:write")
        return _unsure(client, whole, step, name, error)  # it may have arrived, all the same
    told = answer.get("datasource") if isinstance(answer, dict) else None
    after = Whole(whole.path, whole.token, told) if isinstance(told, dict) else _read(client, step)
    return _seen(client, whole, after, step, name)


def _seen(client: Client, before: Whole, after: Whole, step: SourceChange, name: str) -> Result:
    """What it is now. The health check makes Grafana build the new pool."""
    lost = changed(before.fields, after.fields)
    alone = after.version == before.version + 1
    if alone and (after.limit != _wanted(step) or lost):
        what = f"{', '.join(lost[:5])} changed as well" if lost else f"its limit is {_said(after.limit)}"
        return Result(OutcomeKind.FAILED, f"{name} was changed, but {what}", "look at it in Grafana")
    text = f"{name} may take {_said(_wanted(step))}"
    seen = f"maxOpenConns is {after.limit or 'not set'}, version {after.version}"
    if not alone:
        seen += ": somebody else has changed it again since"
    return Result(OutcomeKind.DONE, text, "", f"{seen}; {_health(client, after)}")


def _unsure(client: Client, before: Whole, step: SourceChange, name: str, error: GrafanaError) -> Result:
    try:
        after = _read(client, step)
    except GrafanaError:
        hint = "it may have been changed: look at it in Grafana, or apply the plan again"
        return Result(OutcomeKind.FAILED, f"{name}: {error}", hint)
    if after.version != before.version:
        return _seen(client, before, after, step, name)
    return Result(OutcomeKind.FAILED, f"{name}: {error}", "apply the plan again")


def _health(client: Client, whole: Whole) -> str:
    try:
        told = client.get(f"{whole.path}/health", whole.token)
    except GrafanaError as error:
        return f"health: {error}"
    message = told.get("message") if isinstance(told, dict) else None
    return f"health: {clean(str(message))[:80]}"


def _failed(error: GrafanaError, name: str, permission: str) -> Result:
    hint = error.opens
    if error.status == 403:
        hint = f"a token of a service account with the permission {permission}, scope datasources:*"
    kind = OutcomeKind.REFUSED if error.status in (401, 403) else OutcomeKind.FAILED
    return Result(kind, f"{name}: {error}", hint)


def _patch(step: SourceChange) -> str:
    word = quote(clean(step.name))
    return f"pgusher grafana limit {word} {'default' if step.after is None else step.after} prints the change"


def _wanted(step: SourceChange) -> str:
    return "" if step.after is None else str(step.after)


def _said(limit: str) -> str:
    return f"{limit} at most" if limit else "its default"
