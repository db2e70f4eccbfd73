"""Stacks recorded from real programs on each version of Python give the same mechanism, thread and line."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from pgusher.diagnose.hangs import find_hangs
from pgusher.model import codec
from pgusher.model.stacks import Hang, ProcessStacks
from tests.diagnose.hangs.staging import Script, scripts

_RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded")
VERSIONS = sorted(name[:-5] for name in os.listdir(_RECORDED) if name.endswith(".json"))
SCRIPTS = [script for script in scripts() if not script.needs_server]
CASES = [pytest.param(version, script, id=f"{version}-{script.name}") for version in VERSIONS for script in SCRIPTS]


def load(version: str) -> dict[str, list[Any]]:
    with open(os.path.join(_RECORDED, f"{version}.json"), encoding="utf-8") as file:
        found: dict[str, list[Any]] = json.load(file)
    return found


def judge(version: str, script: Script) -> tuple[Hang, ...]:
    return find_hangs(codec.load(ProcessStacks, one) for one in load(version)[script.name])


def test_every_version_was_recorded() -> None:
    assert VERSIONS == ["3.10", "3.11", "3.12", "3.13", "3.8", "3.9"]


@pytest.mark.parametrize(("version", "script"), CASES)
def test_what_was_recorded_is_judged_as_it_was_marked(version: str, script: Script) -> None:
    hangs = judge(version, script)
    if script.expect == "none":
        assert hangs == ()
        return
    (hang,) = hangs
    # asyncio names the threads of its executor from 3.9 on
    thread = script.thread.replace("asyncio_", "ThreadPoolExecutor-0_") if version == "3.8" else script.thread
    assert (hang.mechanism, hang.thread) == (script.expect, thread), hang
    assert hang.line in script.waits
