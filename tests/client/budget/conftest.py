"""Processes that share a budget, driven step by step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[2] / "src"


class Actor:
    """One process of a budget."""

    def __init__(self, directory: Path, name: str, total: int, minimum: int = 0) -> None:
        words = [sys.executable, str(HERE / "actor.py"), str(directory), name, str(total), str(minimum)]
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": str(SOURCES)},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def say(self, word: str, *numbers: float) -> Any:
        """One step, and what came of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join([word, *map(str, numbers)]) + "\n")
        return json.loads(self.process.stdout.readline())

    def fill(self, now: float, waiting: int) -> int:
        """Take as many as can be had with so many callers in line; how many that were."""
        self.say("tick", now, 0, 0, waiting)
        got = 0
        while got < waiting and self.say("take", now) == 0.0:
            got += 1
        self.say("tick", now, got, 0, waiting - got)
        return got

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it, and let go of its pipes."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory for budgets that is ours alone."""
    path = tmp_path / "shared"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def actor(place: Path) -> Iterator[Callable[..., Actor]]:
    """Start processes: `actor(4)` is one of the budget of four slots."""
    started: list[Actor] = []

    def start(total: int, minimum: int = 0, directory: Path = place) -> Actor:
        started.append(Actor(directory, "web", total, minimum))
        return started[-1]

    yield start
    for one in started:
        one.close()
