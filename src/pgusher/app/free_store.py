"""Plans on disk: one file each, for the few minutes between planning and applying, and a week for `undo-help`.

Root's are in /var/lib/pgusher/plans, those of others in $XDG_STATE_HOME/pgusher/plans (~/.local/state by default). A
plan that a stranger could have written, or that was changed by a single character, is not applied.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pgusher.errors import PgusherError, RefusedError, SnapshotError, UsageError
from pgusher.model import codec
from pgusher.model.address import Micros
from pgusher.model.plan import Plan

KIND, SCHEMA = "pgusher plan", 1
LASTS: Micros = 10 * 60 * 1_000_000
"""How long a plan may be applied."""
_KEPT: Micros = 7 * 86400 * 1_000_000
_LIMIT = 1 << 24
_LETTERS = "abcdefghjkmnpqrstuvwxyz"
_DIGITS = "23456789"
_LENGTH = 4


def directory(environ: Mapping[str, str] | None = None, uid: int | None = None) -> str:
    """Where the plans of a user are; below PGUSHER_STATE where that is set, for a trial that leaves nothing behind."""
    environ = os.environ if environ is None else environ
    if (state := environ.get("PGUSHER_STATE", "")).startswith("/"):
        return os.path.join(state, "plans")
    if (os.geteuid() if uid is None else uid) == 0:
        return "/var/lib/pgusher/plans"
    state = environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):  # as the specification has it: a relative path is to be ignored
        state = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "pgusher", "plans")


class PlanStore:
    """The plans of one user."""

    def __init__(
        self, path: str | None = None, *, random: Callable[[int], bytes] = os.urandom, uid: int | None = None
    ) -> None:
        """`path`: the directory, made when it is needed; `random` gives so many bytes; `uid` whose it must be."""
        self._path = path or directory()
        self._random = random
        self._uid = os.geteuid() if uid is None else uid

    def new_id(self) -> str:
        """A name that no plan has: short, to be typed; a letter first, so that it is no pid."""
        while True:
            raw = self._random(_LENGTH)
            known = _LETTERS + _DIGITS
            name = _LETTERS[raw[0] % len(_LETTERS)] + "".join(known[byte % len(known)] for byte in raw[1:])
            if not os.path.lexists(self._file(name)):
                return name

    def save(self, plan: Plan) -> str:
        """Writes a plan, whole or not at all, for its owner alone; gives its path. Old ones go.

        Raises RefusedError when it cannot be written.
        """
        from pgusher.app.store import write  # it brings what makes snapshots: only who plans needs it

        self._make()
        self._purge(plan.made_at)
        data = codec.dump(plan)
        path = self._file(plan.id)
        try:
            write(path, {"kind": KIND, "schema": SCHEMA, "digest": digest(data), "plan": data}, "plan", force=False)
        except PgusherError as error:
            found = error.__context__
            raise self._unusable(error.message.rpartition(": ")[2], getattr(found, "errno", None)) from None
        return path

    def load(self, name: str) -> Plan:
        """The plan of that name, whole and unchanged, however old.

        Raises UsageError when there is none, and RefusedError when it cannot be trusted.
        """
        if not _is_id(name):
            raise UsageError(f"{_quoted(name)} is no plan's name", hint="plan first: pgusher free")
        data = self._read(name)
        if not isinstance(data, dict) or data.get("kind") != KIND or data.get("schema") != SCHEMA:
            raise RefusedError(f"plan {name} is none that this pgusher can read", hint="plan anew: pgusher free")
        if data.get("digest") != digest(data.get("plan")):
            raise RefusedError(f"plan {name} was changed after it was made", hint="plan anew: pgusher free")
        try:
            plan = codec.load(Plan, data.get("plan"), "plan")
        except SnapshotError as error:
            raise RefusedError(f"plan {name} cannot be read: {error}", hint="plan anew: pgusher free") from None
        if plan.id != name:
            raise RefusedError(f"plan {name} is a copy of plan {plan.id}", hint="plan anew: pgusher free")
        return plan

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Keeps others from applying that plan meanwhile. Raises RefusedError when somebody does so already."""
        import fcntl  # late: only who applies needs it

        try:
            descriptor = os.open(self._file(name), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RefusedError(f"plan {name} could not be locked: {reason}", detail=self._file(name)) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _who_locks(os.fstat(descriptor))
            os.close(descriptor)
            raise RefusedError(
                f"nothing was done: plan {name} is being applied{who}", hint="wait for it, then look: pgusher"
            ) from None
        except OSError as error:
            os.close(descriptor)
            reason = (error.strerror or str(error)).lower()
            raise RefusedError(f"plan {name} could not be locked: {reason}", detail=self._file(name)) from None
        try:
            yield
        finally:
            os.close(descriptor)

    def names(self, since: float = 0.0) -> list[str]:
        """The plans that were made since then (seconds since 1970), the newest first.

        None where the directory cannot be read.
        """
        found = []
        with contextlib.suppress(OSError), os.scandir(self._path) as entries:
            for entry in entries:
                name = entry.name.removesuffix(".json")
                if _is_id(name) and entry.name.endswith(".json"):
                    with contextlib.suppress(OSError):
                        found.append((entry.stat(follow_symlinks=False).st_mtime, name))
        return [name for made, name in sorted(found, reverse=True) if made >= since]

    def _file(self, name: str) -> str:
        return os.path.join(self._path, f"{name}.json")

    def _make(self) -> None:
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._path, 0o700)
            found = os.lstat(self._path)
        except OSError as error:
            raise self._unusable((error.strerror or str(error)).lower(), error.errno) from None
        if why := self._distrusts(found, directory=True):
            raise self._unusable(why)

    def _unusable(self, why: str, number: int | None = None) -> PgusherError:
        path = shlex.quote(self._path)
        hint = f"ls -ld {path}"
        if number in (errno.ENOSPC, errno.EDQUOT):
            hint = f"make room there (df -h {path}), or set PGUSHER_STATE to a directory elsewhere, for plans and log"
        return RefusedError(f"the plan could not be kept: {why}", detail=f"its directory is {self._path}", hint=hint)

    def _distrusts(self, found: os.stat_result, *, directory: bool = False) -> str | None:
        """Why a file or directory may be a stranger's."""
        is_right = stat.S_ISDIR if directory else stat.S_ISREG
        if not is_right(found.st_mode):
            return f"it is no {'directory' if directory else 'regular file'}"
        if found.st_uid != self._uid:
            return f"it belongs to uid {found.st_uid}, not to uid {self._uid}"
        if found.st_mode & 0o022:
            return f"others may write it: mode {stat.S_IMODE(found.st_mode):04o}"
        return None

    def _read(self, name: str) -> Any:
        path = self._file(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise UsageError(
                f"there is no plan {name}",
                detail=f"looked in {self._path}: each user has plans of their own, for a week",
                hint="plan anew: pgusher free",
            ) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise RefusedError(f"plan {name} could not be read: {reason}", detail=path) from None
        with os.fdopen(descriptor, "rb") as file:
            if why := self._distrusts(os.fstat(descriptor)):
                raise RefusedError(f"plan {name} is not trusted: {why}", detail=path, hint="plan anew: pgusher free")
            raw = file.read(_LIMIT + 1)
        try:
            return json.loads(raw[:_LIMIT])
        except (ValueError, RecursionError):
            raise RefusedError(f"plan {name} is torn: not JSON", detail=path, hint="plan anew: pgusher free") from None

    def _purge(self, now: Micros) -> None:
        for name in self.names():
            path = self._file(name)
            with contextlib.suppress(OSError):  # another pgusher has removed it
                if now - os.lstat(path).st_mtime_ns // 1000 > _KEPT:
                    os.unlink(path)


def _who_locks(found: os.stat_result, proc: str = "/proc") -> str:
    """ " by process 4711": who holds a lock of that file; "" where it is not shown. Source: proc_locks(5)."""
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        with open(f"{proc}/locks", encoding="ascii", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return ""
    for words in lines:
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == wanted and words[4].isdigit() and int(words[4]):
            return f" by process {words[4]}"
    return ""


def digest(data: object) -> str:
    """A checksum of what a plan says: it tells an edited or torn plan, not one that its own owner forges."""
    import hashlib  # late: only who plans or applies needs it

    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_id(name: str) -> bool:
    known = _LETTERS + _DIGITS
    return len(name) == _LENGTH and name[0] in _LETTERS and all(letter in known for letter in name)


def _quoted(name: str) -> str:
    return f'"{name}"' if len(name) <= 30 else f'"{name[:27]}..."'
