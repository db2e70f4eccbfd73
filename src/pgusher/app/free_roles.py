"""What a server says of one role, for a plan that changes it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pgusher.errors import RefusedError, UsageError
from pgusher.remedy.plan.roles import Role

if TYPE_CHECKING:
    from pgusher.collect.postgres.connect import Connection

_SEPARATOR = b"\x1f"


def read_role(connection: Connection | None, name: str, timeout: float) -> Role:
    """The role of that name.

    Raises UsageError when there is none, RefusedError when the server cannot be asked.
    """
    from pgusher.collect.postgres.connect import BrokenError, QueryError

    if connection is None:
        raise RefusedError(
            f"role {name} cannot be changed: there is no SQL here", hint="free a slot first: pgusher free"
        )
    raw = name.encode("utf-8", "surrogateescape").hex()
    # As hexadecimal digits a name needs no quoting, whatever it holds and however the server reads strings.
    sql = (
        "copy (select r.rolconnlimit, r.rolsuper, pg_catalog.encode(pg_catalog.convert_to("  # noqa: S608 - digits alone
        "coalesce(pg_catalog.array_to_string(r.rolconfig, chr(31)), ''), 'UTF8'), 'hex') from pg_catalog.pg_roles r "
        f"where r.rolname = pg_catalog.convert_from(pg_catalog.decode('{raw}', 'hex'), 'UTF8')) to stdout"
    )
    try:
        (rows,) = connection.run(sql, time.monotonic() + timeout)
    except (BrokenError, QueryError, ValueError) as error:
        raise RefusedError(f"role {name} could not be looked up: {error}") from None
    if not rows:
        raise UsageError(f"the server has no role {name}")
    limit, superuser, config = rows[0].split(b"\t")
    told = bytes.fromhex(config.decode()).split(_SEPARATOR)
    return Role(name, int(limit), superuser == b"t", tuple(one.decode("utf-8", "replace") for one in told if one))
