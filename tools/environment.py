"""Make the environments that `make` runs in, and find the interpreters to test on. Standard library only.

    environment.py found           the versions of Python on this machine that the suite can run on
    environment.py ready           make the default environment if need be; print its directory
    environment.py ready 3.12      the same for that version of Python
    environment.py add GROUP       add a dependency group to the default environment

An environment is made once, and anew when what pyproject.toml asks for, the interpreter or the place changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from typing import NoReturn

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VERSIONS = ("3.11", "3.12", "3.13")
DEFAULT = f"{sys.version_info.major}.{sys.version_info.minor}"
PIP = "pip>=25.1"
"""The first pip that knows dependency groups (PEP 735)."""

PROBE = "import json, sys, ssl, sqlite3; print(json.dumps([sys.executable, '%d.%d' % sys.version_info[:2]]))"


def fail(message: str, hint: str) -> NoReturn:
    """End with the one line that says what is wrong, and the one that says what to do."""
    sys.exit(f"environment: {message}\nHINT: {hint}")


def probe(command: str) -> tuple[str, str] | None:
    """The interpreter behind a command, and its version; None if it does not run, as a pyenv shim may not."""
    try:
        done = subprocess.run([command, "-c", PROBE], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    executable, version = json.loads(done.stdout)
    return executable, version


def candidates(version: str) -> Iterator[str]:
    """Commands that may be this version of Python, the likeliest first."""
    if version == DEFAULT:
        yield sys.executable
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        command = os.path.join(directory, f"python{version}")
        if os.access(command, os.X_OK):
            yield command
    for root in dict.fromkeys([os.environ.get("PYENV_ROOT", ""), os.path.expanduser("~/.pyenv")]):
        if root:
            yield from sorted(glob.glob(f"{root}/versions/{version}.*/bin/python{version}"), reverse=True)


def find(version: str) -> str | None:
    """An interpreter of this version that really runs."""
    for command in candidates(version):
        answer = probe(command)
        if answer and answer[1] == version:
            return answer[0]
    return None


def wanted(interpreter: str, place: str) -> str:
    """What an environment was made from. The name of the place counts, as its scripts hold it."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)
    asked = [project["build-system"], project["project"], project["dependency-groups"], interpreter, place, PIP]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def run(command: Sequence[str]) -> bool:
    """Run it quietly; on failure show what it said."""
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def create(interpreter: str, place: str) -> None:
    """An environment with nothing but pip in it."""
    shutil.rmtree(place, ignore_errors=True)
    if os.path.exists(place):
        fail(f"cannot remove {place}", "it may belong to another user: remove it, or work in a checkout of your own")
    quiet = subprocess.run([interpreter, "-m", "venv", place], capture_output=True, check=False)
    python = os.path.join(place, "bin", "python")
    if quiet.returncode:
        # Debian keeps ensurepip in python3-venv. Without it an environment can still be made, and pip put into it
        # by the pip that the system has (pip 22.3 and newer can work on another interpreter).
        shutil.rmtree(place, ignore_errors=True)
        bare = run([interpreter, "-m", "venv", "--without-pip", place])
        if not (bare and run([interpreter, "-m", "pip", "--python", python, "install", PIP])):
            fail(f"{interpreter} cannot make an environment", "install python3-venv, or python3-pip 22.3 or newer")
    elif not run([python, "-m", "pip", "install", "--quiet", "--upgrade", PIP]):
        fail(f"could not install {PIP}", "pip needs a package index: see `pip config list`")


def ready(version: str = DEFAULT) -> str:
    """The directory of the environment, made or made anew if need be."""
    interpreter = sys.executable if version == DEFAULT else find(version)
    if interpreter is None:
        fail(f"no Python {version} on this machine runs", "`make pythons` shows those that do")
    place = os.path.join(ROOT, ".venv" if version == DEFAULT else f".venv-{version}")
    stamp = os.path.join(place, "made-from")
    want = wanted(interpreter, place)
    with locked():
        with contextlib.suppress(OSError), open(stamp, encoding="utf-8") as file:
            if file.read() == want and probe(os.path.join(place, "bin", "python")):
                return place
        sys.stderr.write(f"making {os.path.relpath(place, ROOT)} with {interpreter} ...\n")
        create(interpreter, place)
        pip = [os.path.join(place, "bin", "python"), "-m", "pip", "install", "--quiet"]
        if not run([*pip, "--editable", ".[demo]", "--group", "dev"]):
            fail("could not install what pyproject.toml asks for", "the lines above say what pip met")
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(want)
    return place


def add(group: str) -> str:
    """Add a dependency group to the default environment, once."""
    place = ready()
    stamp = os.path.join(place, f"added-{group}")
    with locked():
        if not os.path.exists(stamp):
            if not run([os.path.join(place, "bin", "python"), "-m", "pip", "install", "--quiet", "--group", group]):
                fail(f"could not install the group {group}", "the lines above say what pip met")
            with open(stamp, "w", encoding="utf-8"):
                pass
    return place


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Two runs of make in one checkout must not make one environment at once."""
    cache = os.path.join(ROOT, ".cache")
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "environment.lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(words: Sequence[str]) -> None:
    """Do what the words say."""
    match words:
        case ["found"]:
            print(*(version for version in VERSIONS if find(version)))
        case ["ready"]:
            print(ready())
        case ["ready", version]:
            print(ready(version))
        case ["add", group]:
            print(add(group))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
