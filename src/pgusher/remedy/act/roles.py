"""Settings of roles: changed only when they still are what the plan showed, in one transaction, and read again."""

from __future__ import annotations

from pgusher.collect.postgres.connect import BrokenError, QueryError
from pgusher.collect.postgres.rows import fields
from pgusher.model.plan import OutcomeKind, RoleSetting, Step
from pgusher.model.text import clean
from pgusher.remedy.act.result import Result
from pgusher.remedy.act.sessions import Server

LIMIT = "CONNECTION LIMIT"
TIMEOUTS = frozenset(
    {
        "client_connection_check_interval",
        "idle_in_transaction_session_timeout",
        "idle_session_timeout",
        "lock_timeout",
        "statement_timeout",
        "tcp_keepalives_count",
        "tcp_keepalives_idle",
        "tcp_keepalives_interval",
        "tcp_user_timeout",
        "transaction_timeout",
    }
)
"""The parameters that a step may set: they end what is idle, stuck or dead, and nothing else."""

_CHANGED = "22012"  # division_by_zero: see `_only_if`
_NO_RIGHT = "42501"
_NO_ROLE = "42704"
_RACE = "XX000"  # "tuple concurrently updated"


def change(server: Server, step: Step) -> Result:
    """Do what a step says with the settings of a role: all of it or nothing."""
    wrong = next((why for setting in step.settings if (why := _wrong(setting))), None)
    if wrong is not None or not step.settings:
        return Result(OutcomeKind.REFUSED, wrong or "the plan names no setting to change")
    try:
        now = [read(server, setting) for setting in step.settings]
        if now == [setting.after for setting in step.settings]:
            return Result(OutcomeKind.GONE, f"{_told(step)} already")
        server.run(statement(step))
        now = [read(server, setting) for setting in step.settings]
    except QueryError as error:
        _rollback(server)
        return _refused(server, step, error)
    except BrokenError as error:
        return Result(OutcomeKind.FAILED, f"the connection ended before the server answered: {error}")
    seen = _values(step, now)
    if now != [setting.after for setting in step.settings]:
        return Result(OutcomeKind.FAILED, f"it was set, and is something else now: {seen}")
    return Result(OutcomeKind.DONE, f"{_told(step)}; before: {_values(step)}", seen_after=seen)


def statement(step: Step) -> str:
    """The transaction: each value is compared, then set. The session of a look is read-only unless it says so."""
    parts = []
    for setting in step.settings:
        parts += [_only_if(setting), _set(setting)]
    return "; ".join(["begin read write", "set local lock_timeout = '2s'", *parts, "commit"])


def read(server: Server, setting: RoleSetting) -> str | None:
    """The value that a role has now; None when it has none. Raises QueryError, also when there is no such role."""
    rows = server.run(f"copy (select v.value from {_value(setting)}) to stdout")[0]  # noqa: S608 - every name and value went through `literal`
    if not rows:
        raise QueryError(f"there is no role {setting.role}", _NO_ROLE)
    return fields(rows[0])[0]


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as SQL takes it, whatever `standard_conforming_strings` says."""
    return " E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


# As ALTER ROLE wrote it, for all databases: "name=value".
_PARAMETER = (
    "(select pg_catalog.substr(c.one, pg_catalog.strpos(c.one, '=') + 1)"
    " from pg_catalog.pg_db_role_setting s cross join pg_catalog.unnest(s.setconfig) c(one)"
    " where s.setrole = r.oid and s.setdatabase = 0"
    " and pg_catalog.lower(pg_catalog.split_part(c.one, '=', 1)) = NAME)"
)


def _value(setting: RoleSetting) -> str:
    """What gives one row for an existing role: the value, or null."""
    if setting.setting == LIMIT:
        value = "r.rolconnlimit::pg_catalog.text"
    else:
        value = _PARAMETER.replace("NAME", literal(setting.setting))
    return f"(select {value} from pg_catalog.pg_roles r where r.rolname ={literal(setting.role)}) v(value)"  # noqa: S608 - every name and value went through `literal`


def _only_if(setting: RoleSetting) -> str:
    """An error when the value is another than before, in the transaction that is to change it.

    SQL without a procedural language, which a server need not have, knows no other way to stop a transaction.
    """
    before = "null" if setting.before is None else literal(setting.before)
    return f"select 1 / (case when v.value is not distinct from {before} then 1 else 0 end) from {_value(setting)}"  # noqa: S608 - every name and value went through `literal`


def _set(setting: RoleSetting) -> str:
    role = identifier(setting.role)
    if setting.setting == LIMIT:
        return f"alter role {role} connection limit {int(setting.after or -1)}"
    if setting.after is None:
        return f"alter role {role} reset {setting.setting}"
    return f"alter role {role} set {setting.setting} ={literal(setting.after)}"


def _wrong(setting: RoleSetting) -> str | None:
    if "\0" in setting.role or not setting.role:
        return "the plan names no role"
    if setting.setting == LIMIT:
        number = (setting.after or "").removeprefix("-")
        fits = number.isascii() and number.isdigit() and -1 <= int(setting.after or "") <= 1 << 18
        return None if fits else "a connection limit is a number of sessions, or -1 for none"
    if setting.setting not in TIMEOUTS:
        return f"parameter {clean(setting.setting)[:60]} is not one that pgusher changes"
    if setting.after is not None and "\0" in setting.after:
        return f"parameter {setting.setting}: not a value"
    return None


def _refused(server: Server, step: Step, error: QueryError) -> Result:
    if error.sqlstate == _CHANGED:
        try:
            now = _values(step, [read(server, setting) for setting in step.settings])
        except (QueryError, BrokenError):
            now = "another value"
        text = f"it has changed since the plan was made: it was {_values(step)}, it is {now}"
        return Result(OutcomeKind.REFUSED, text)
    if error.sqlstate == _RACE:
        return Result(OutcomeKind.REFUSED, "somebody else changes the role at this moment")
    if error.sqlstate == _NO_RIGHT:
        role = clean(step.settings[0].role)
        hint = f"a superuser may; from PostgreSQL 16 on also who has CREATEROLE and the admin option on role {role}"
        return Result(OutcomeKind.REFUSED, f"the role of pgusher may not change role {role}", hint)
    return Result(OutcomeKind.FAILED, f"the server refused: {clean(str(error))}")


def _rollback(server: Server) -> None:
    try:
        server.run("rollback")
    except (QueryError, BrokenError):
        return  # the connection is closed soon, and with it the transaction


def _told(step: Step) -> str:
    return f"role {clean(step.settings[0].role)} has {_values(step, [one.after for one in step.settings])}"


def _values(step: Step, values: list[str | None] | None = None) -> str:
    chosen = [setting.before for setting in step.settings] if values is None else values
    pairs = zip(step.settings, chosen, strict=True)
    return ", ".join(f"{one.setting} {'not set' if value is None else clean(value)}" for one, value in pairs)
