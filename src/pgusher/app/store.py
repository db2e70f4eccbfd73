"""Snapshots on disk: the facts of one look, to be replayed, sent to a colleague or kept as a regression test.

A file holds facts only. Reading attributes them anew, so that a better pgusher concludes better from old facts.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import tempfile
from typing import Any

from pgusher.app.look import Look
from pgusher.attribute import attribute
from pgusher.errors import PgusherError, SnapshotError
from pgusher.model import codec
from pgusher.model.evidence import Gap
from pgusher.model.facts import Facts

KIND, REPORT = "pgusher snapshot", "pgusher report"
SCHEMA = 1
_LIMIT = 1 << 29
_TOO_LARGE = "{}: larger than {} MiB, so no snapshot of pgusher's"
_WRITE_ONE = "write one with: pgusher --save FILE"


def save(path: str, look: Look) -> None:
    """Writes the look to `path`, whole or not at all, readable by its owner only. An older file is replaced.

    Raises PgusherError when it cannot be written.
    """
    write(path, dumped(look), "snapshot")


def text(look: Look) -> str:
    """What `save` writes, for a pipe."""
    return _text(dumped(look))


def _text(data: object) -> str:
    return json.dumps(data, separators=(",", ":")) + "\n"


def dumped(look: Look) -> dict[str, Any]:
    """The look as `json.dumps` takes it."""
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "elapsed_ms": look.elapsed_ms,
        "gaps": codec.dump(look.gaps),
        "servers": [codec.dump(snapshot.facts) for snapshot in look.snapshots],
    }


def write(path: str, data: object, what: str, *, force: bool = True) -> int:
    """Writes data as JSON to `path`, whole or not at all, readable by its owner only; gives the number of bytes.

    Without `force` an existing file stays as it is. Raises PgusherError when it cannot be written.
    """
    if force and _is_special(path):  # /dev/null, for root
        raise PgusherError(f"{path}: the {what} cannot be written: no regular file", hint="name a new file")
    raw = _text(data).encode()
    directory = os.path.dirname(path) or "."
    temporary = None
    try:
        # mkstemp gives mode 0600: a snapshot tells who runs what where.
        handle, temporary = tempfile.mkstemp(prefix=".pgusher-", dir=directory)
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # fails when something is there, also when that came a moment ago
            os.unlink(temporary)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):  # renamed already, or its directory is gone: nothing of ours is left
                os.unlink(temporary)
        if isinstance(error, FileExistsError) and not force:
            raise PgusherError(f"{path}: the {what} was not written: it exists", hint="--force replaces it") from None
        reason = (error.strerror or str(error)).lower()
        raise PgusherError(f"{path}: the {what} could not be written: {reason}") from None
    return len(raw)


def _is_special(path: str) -> bool:
    """Whether something else than a file is there, or a link: to put a file in its place would destroy it."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False  # nothing there, or writing will tell
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def read(path: str) -> Look:
    """The look that `save` wrote, attributed anew; "-" is standard input.

    Raises SnapshotError, with the place inside the file, when it is not one.
    """
    try:
        if path == "-":
            path = "standard input"
            if sys.stdin is None or sys.stdin.isatty():
                raise SnapshotError(f"{path}: no snapshot comes from a terminal", hint="name its file: --from FILE")
            raw = sys.stdin.buffer.read(_LIMIT + 1)
        else:
            with open(path, "rb") as file:
                # Not even read: the memory may be what is short.
                raw = b"" if os.fstat(file.fileno()).st_size > _LIMIT else file.read(_LIMIT + 1)
                if not raw and os.fstat(file.fileno()).st_size:
                    raise SnapshotError(_TOO_LARGE.format(path, _LIMIT >> 20))
    except OSError as error:
        raise SnapshotError(f"{path}: could not be read: {(error.strerror or str(error)).lower()}") from None
    if not raw.strip():
        raise SnapshotError(f"{path}: empty, so no snapshot of pgusher's", hint=_WRITE_ONE)
    if len(raw) > _LIMIT:
        raise SnapshotError(_TOO_LARGE.format(path, _LIMIT >> 20))
    try:
        data = json.loads(raw)
    except UnicodeDecodeError as error:
        raise SnapshotError(f"{path}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise SnapshotError(f"{path}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (RecursionError, ValueError):  # nested without end, or a number of thousands of digits
        raise SnapshotError(f"{path}: not JSON that a snapshot can hold") from None
    return _look(path, data)


def _look(path: str, data: Any) -> Look:
    if isinstance(data, dict) and data.get("kind") == REPORT:
        data = data.get("snapshot")  # what it says beside that is concluded anew
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise SnapshotError(f"{path}: no snapshot of pgusher's", hint=_WRITE_ONE)
    if data.get("schema") != SCHEMA:
        raise SnapshotError(
            f"{path}: schema {str(data.get('schema'))[:20]}, this pgusher reads schema {SCHEMA}",
            hint="read it with the version of pgusher that wrote it",
        )
    servers = data.get("servers")
    if not isinstance(servers, list):
        raise SnapshotError(f"{path}: servers: expected a list")
    try:
        facts = [codec.load(Facts, item, f"servers[{index}]") for index, item in enumerate(servers)]
        gaps = codec.load(tuple[Gap, ...], data.get("gaps", []), "gaps")
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}", detail=error.detail, hint=error.hint) from None
    elapsed = data.get("elapsed_ms")
    snapshots = tuple(attribute(item) for item in facts)
    return Look(snapshots, float(elapsed) if isinstance(elapsed, int | float) else 0.0, gaps)
