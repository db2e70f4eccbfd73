"""The names, numbers and homes of users: /etc/passwd first, the system's own lookup for the others."""

from __future__ import annotations

from typing import NamedTuple

from pgusher.collect import rooted
from pgusher.model import text

_FILE = "/etc/passwd"


class User(NamedTuple):
    """One line of passwd(5)."""

    name: str
    uid: int
    home: str


def parse_passwd(raw: bytes) -> list[User]:
    """The users of a passwd file. A line that is none is left out: its user is then one without a name."""
    users = []
    for line in raw.split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 6 and fields[0] and fields[2].isdigit() and len(fields[2]) <= 10:
            users.append(User(text.decode(fields[0]), int(fields[2]), text.decode(fields[5])))
    return users


class Users:
    """Who is who below a root. The file is read again when it has changed."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._signature: tuple[int, ...] | None = ()
        self._names: dict[int, str | None] = {}
        self._homes: dict[int, str] = {}
        self._known: dict[str, bool] = {}
        self._readable = False

    def name(self, uid: int) -> str | None:
        """The name of a uid; None when it has none."""
        self._load()
        if uid not in self._names:
            entry = _ask(uid) if self._root == "/" else None
            self._names[uid] = entry.name if entry else None
            if entry:
                self._homes[uid] = entry.home
        return self._names[uid]

    def home(self, uid: int) -> str | None:
        """The home directory of a uid; None when it has none."""
        self.name(uid)
        return self._homes.get(uid)

    def knows(self, name: str) -> bool | None:
        """Whether there is such a user; None when that cannot be said, as there is no passwd file."""
        self._load()
        if name not in self._known:
            if self._root != "/":
                return False if self._readable else None
            self._known[name] = _ask(name) is not None
        return self._known[name]

    def _load(self) -> None:
        signature = rooted.signature(self._root, _FILE)
        if signature == self._signature:
            return
        self._signature = signature
        self._names, self._homes, self._known = {}, {}, {}
        try:
            raw = rooted.read_file(self._root, _FILE)
        except OSError:
            self._readable = False
            return
        self._readable = True
        # The first line of a uid wins, as with getpwuid(3).
        for user in parse_passwd(raw):
            self._names.setdefault(user.uid, user.name)
            self._homes.setdefault(user.uid, user.home)
            self._known[user.name] = True


def _ask(who: int | str) -> User | None:
    """What nsswitch.conf(5) names: a directory service may be slow, so only those that the file does not hold."""
    import pwd

    try:
        entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    return User(entry.pw_name, entry.pw_uid, entry.pw_dir)
