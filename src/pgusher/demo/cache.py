"""What servers share: copies of binaries that the server's account can read, and a fresh cluster of each version."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache

from pgusher.demo.account import Account, allows, safe_from_others
from pgusher.demo.binaries import Binaries
from pgusher.demo.keep import Keeper, LaunchError

ENVIRONMENT = "PGUSHER_DEMO_CACHE"
"""Names a directory to use instead of one of this process's own: what is in it stays there for the next process."""

_NEEDED = 256 << 20
"""Free bytes a place must have: a cluster takes about 40 MB, a copy of the binaries 42 MB."""


def place(who: Account, *, execute: bool) -> str:
    """A directory for temporary files that `who` can reach, with room; `execute`: programs may be run from it.

    Memory (/dev/shm) is preferred: initdb takes a third less CPU time there. Raises LaunchError when there is none.
    """
    tried = []
    memory, disk = "/dev/shm", (tempfile.gettempdir(), "/var/tmp", "/tmp")  # noqa: S108  # a random name inside
    for path in (memory, *disk):
        try:
            system = os.statvfs(path)
        except OSError as error:
            tried.append(f"{path}: {error.strerror}")
            continue
        if not os.access(path, os.W_OK | os.X_OK) or not allows(path, who, os.X_OK):
            tried.append(f"{path}: not for us and {who.name} to use")
        elif system.f_bavail * system.f_frsize < _NEEDED:
            tried.append(f"{path}: less than {_NEEDED >> 20} MB free")
        elif execute and system.f_flag & os.ST_NOEXEC:
            tried.append(f"{path}: mounted noexec")
        else:
            return path
    raise LaunchError(
        f"no directory for temporary files that {who.name} can use",
        detail="; ".join(tried),
        hint="set TMPDIR to a directory that every user may search",
    )


class Cache:
    """A directory of copies and templates. Safe to use from several processes and threads at once."""

    def __init__(self, directory: str | None = None) -> None:
        """`directory`: where it is; None for one that is removed at the end of this process.

        Raises LaunchError for a directory that other users could change: its programs will be run.
        """
        self._keeper: Keeper | None = None
        self._directory = directory
        if directory is not None:
            os.makedirs(directory, mode=0o755, exist_ok=True)
            if not safe_from_others(directory):
                raise LaunchError(f'cache directory "{directory}" can be changed by other users')

    def directory(self, who: Account) -> str:
        """The directory, made when it is first needed."""
        if self._directory is None:
            self._keeper = Keeper(directory_in=place(who, execute=True), prefix="pgusher-cache-")
            self._directory = self._keeper.directory
        return self._directory

    def close(self) -> None:
        """Remove it, if it was made for this process."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = self._directory = None

    def readable(self, binaries: Binaries, who: Account) -> Binaries:
        """These binaries, or a copy of them when `who` cannot read them where they are."""
        program = binaries.program("postgres")
        share = os.path.join(os.path.dirname(binaries.bin), "share")
        if allows(program, who, os.R_OK | os.X_OK) and (not os.path.isdir(share) or allows(share, who, os.X_OK)):
            return binaries
        if binaries.root is None:
            raise LaunchError(f'{who.name} cannot read "{binaries.bin}"', detail="it can only be used where it is")
        root = binaries.root
        if not allows(self.directory(who), who, os.X_OK):
            raise LaunchError(f'{who.name} cannot search "{self.directory(who)}"')
        status = os.stat(program)
        key = hashlib.sha256(f"{program} {status.st_mtime_ns} {status.st_size}".encode()).hexdigest()[:12]

        def copy(target: str) -> None:
            for part in binaries.parts:
                if os.path.isdir(os.path.join(root, part)):
                    _copy_tree(os.path.join(root, part), os.path.join(target, part))

        copied = self._made(who, f"binaries-{binaries.version}-{key}", copy)
        inside = os.path.relpath(binaries.bin, root)
        return replace(binaries, bin=os.path.normpath(os.path.join(copied, inside)), root=copied)

    def password(self, who: Account) -> str:
        """The superuser's password in every template of this cache, random; only our own account can read it."""
        path = os.path.join(self.directory(who), "password")
        with _locked(path + ".lock"):
            try:
                with open(path, encoding="ascii") as file:
                    return file.read()
            except FileNotFoundError:
                word = secrets.token_urlsafe(18)
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                    file.write(word)
                return word

    def template(self, binaries: Binaries, who: Account) -> str:
        """A cluster directory of this version, fresh from initdb and owned by `who`; its superuser is postgres."""
        password = self.password(who)

        def initialise(target: str) -> None:
            if os.geteuid() == 0:
                os.chown(target, who.uid, who.gid)
            with tempfile.NamedTemporaryFile("w", dir=self.directory(who), prefix="pw-") as file:
                file.write(password + "\n")
                file.flush()
                if os.geteuid() == 0:
                    os.chown(file.name, who.uid, who.gid)
                options = ["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
                options.append("--wal-segsize=1")  # MB instead of 16: less to copy for every server
                run_as(
                    who,
                    [binaries.program("initdb"), *options, f"--pwfile={file.name}", os.path.join(target, "data")],
                )

        key = hashlib.sha256(f"{binaries.bin} {who.uid}".encode()).hexdigest()[:12]
        return os.path.join(self._made(who, f"cluster-{binaries.version}-{key}", initialise), "data")

    def _made(self, who: Account, name: str, make: Callable[[str], None]) -> str:
        """The finished directory `name`: made in another place and renamed, so that a torn one is never seen."""
        directory = self.directory(who)
        target = os.path.join(directory, name)
        with _locked(os.path.join(directory, name + ".lock")):
            if not os.path.isdir(target):
                unfinished = tempfile.mkdtemp(prefix="unfinished-", dir=directory)
                os.chmod(unfinished, 0o755)  # noqa: S103  # the server's account reads it
                try:
                    make(unfinished)
                    os.rename(unfinished, target)
                except BaseException:
                    shutil.rmtree(unfinished, ignore_errors=True)
                    raise
        return target


@lru_cache(maxsize=1)
def shared_cache() -> Cache:
    """The cache of this process, or the one that the environment names."""
    return Cache(os.environ.get(ENVIRONMENT) or None)


def run_as(who: Account, argv: list[str]) -> None:
    """Run a program to its end as `who`. Raises LaunchError with what it said when it fails."""
    other: dict[str, object] = {}
    if os.geteuid() == 0 and who.uid != 0:
        other = {"user": who.uid, "group": who.gid, "extra_groups": list(who.groups)}
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        cwd="/",
        umask=0o077,
        timeout=120,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        **other,  # type: ignore[call-overload]
    )
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise LaunchError(f"{os.path.basename(argv[0])} failed with exit code {done.returncode}", detail=said)


def _copy_tree(source: str, target: str) -> None:
    """Copy programs and libraries, readable by all; static libraries are left out."""
    left_out = shutil.ignore_patterns("*.a", "include", "__pycache__")
    # The target is there already when the part is the whole root (".").
    shutil.copytree(source, target, symlinks=True, ignore=left_out, dirs_exist_ok=True)
    for base, _, files in os.walk(target):
        os.chmod(base, 0o755)  # noqa: S103  # the server's account reads it
        for name in files:
            path = os.path.join(base, name)
            if not os.path.islink(path):
                os.chmod(path, 0o755 if os.stat(path).st_mode & 0o111 else 0o644)


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Hold an exclusive lock on the file; the kernel drops it when its holder dies."""
    with open(path, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
