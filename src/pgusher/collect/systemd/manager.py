"""The unit files of one manager, the system's or that of a user: found, read and merged as it would."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.collect import rights, rooted
from pgusher.collect.systemd import files, names
from pgusher.model.evidence import Gap

_OLD = 60.0
"""Seconds after which files are read again even if no directory has changed: one may have been written over."""
_CHECK = 5.0
"""Seconds after which the directories are looked at again."""
_FILE = 1 << 16


class Manager:
    """The unit files of one manager: the system's, or that of a user."""

    def __init__(self, root: str, directories: tuple[str, ...], user: str | None) -> None:
        self._root = root
        self._directories = directories
        self._user = user
        self._signatures: tuple[tuple[int, ...] | None, ...] = ()
        self._read_at: float | None = None
        self._check_at = 0.0
        self._lists: dict[str, frozenset[str]] = {}
        self.gaps: list[Gap] = []

    def is_old(self, now: float) -> bool:
        """Whether what was read before may not be true any more."""
        if self._read_at is not None and now < self._check_at:
            return False
        self._check_at = now + _CHECK
        return self._read_at is None or now - self._read_at > _OLD or self._signatures != self._sign()

    def forget(self, now: float) -> None:
        """Start over."""
        self._read_at, self._check_at, self._signatures = now, now + _CHECK, self._sign()
        self._lists, self.gaps = {}, []
        denied = 0
        for directory in self._directories:
            denied += self._list(directory) is None
        if denied:
            whose = f"of user {self._user}" if self._user else "of the system"
            what = f"{denied} directories with units {whose}"
            self.gaps.append(Gap("systemd", what, "permission denied", rights.to_read_files(), denied))

    def _sign(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(rooted.signature(self._root, directory) for directory in self._directories)

    def _list(self, directory: str) -> frozenset[str] | None:
        """The names in a directory; None when they may not be seen."""
        found = self._lists.get(directory)
        if found is None:
            try:
                found = frozenset(rooted.list_directory(self._root, directory))
            except OSError as error:
                found = frozenset()
                if rooted.is_denied(error):
                    self._lists[directory] = found
                    return None
            self._lists[directory] = found
        return found

    def _has(self, directory: str, name: str) -> bool:
        return name in (self._list(directory) or ())

    def find(self, name: str) -> str | None:
        """The file of a unit: its own name everywhere comes before its template."""
        for candidate in filter(None, (name, names.template(name))):
            for directory in self._directories:
                if self._has(directory, candidate):
                    return f"{directory}/{candidate}"
        return None

    def settings(self, name: str, file: str) -> dict[tuple[str, str], str]:
        """What the file and the drop-in files of a unit set."""
        settings = files.parse(self._read(file))
        for path in self._drop_ins(name):
            settings.update(files.parse(self._read(path)))
        return settings

    def _drop_ins(self, name: str) -> Iterator[str]:
        """The drop-in files of a unit, in the order in which they count: of two with one name the first found."""
        prefix, _, suffix = names.split(name)
        owners = [name, *filter(None, [names.template(name)])]
        owners += [f"{prefix[: at + 1]}.{suffix}" for at, letter in reversed(list(enumerate(prefix))) if letter == "-"]
        found: dict[str, str] = {}
        for owner in [*owners, suffix]:
            for directory in self._directories:
                if self._has(directory, f"{owner}.d"):
                    inner = f"{directory}/{owner}.d"
                    for file in self._list(inner) or ():
                        if file.endswith(".conf"):
                            found.setdefault(file, f"{inner}/{file}")
        yield from (found[file] for file in sorted(found))

    def _read(self, path: str) -> bytes:
        try:
            return rooted.read_file(self._root, path, _FILE)
        except OSError:
            return b""  # a mask (a link to /dev/null), a dangling link: no settings

    def is_masked(self, path: str) -> bool:
        """Whether the file is empty or a link to /dev/null: then there is no such unit."""
        try:
            return rooted.stat_file(self._root, path).st_size == 0
        except OSError:
            return True

    def names(self, suffix: str, *, transient: bool = False) -> set[str]:
        """The units with that suffix that have a file; `transient` are those alone that were made at run time."""
        places = [place for place in self._directories if not transient or _is_made(place)]
        return {name for place in places for name in self._list(place) or () if name.endswith(suffix)}

    def wanted(self, suffix: str) -> set[str]:
        """The units with that suffix that a target or another unit pulls in."""
        found: set[str] = set()
        for directory in self._directories:
            for name in self._list(directory) or ():
                if name.endswith((".wants", ".requires", ".upholds")):
                    found.update(unit for unit in self._list(f"{directory}/{name}") or () if unit.endswith(suffix))
        return found


def _is_made(place: str) -> bool:
    return place.endswith("/transient") or "/systemd/generator" in place
