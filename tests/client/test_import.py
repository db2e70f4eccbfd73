"""What a program loads beside psycopg and its pool before its first statement: each module costs each process time.

How long it takes is measured in bench/ (`python bench/pool.py import`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.gates.test_import_hygiene import brought, tops

SOURCES = Path(__file__).resolve().parents[2] / "src"
LATE = frozenset({"budget", "configuration", "exposition", "job", "joined", "refusal", "wordings", "fastapi"})
"""What not every program needs."""


@pytest.fixture(scope="module")
def driver() -> set[str]:
    return brought("import psycopg, psycopg_pool", SOURCES)


@pytest.mark.parametrize(("name", "module"), [("Database", "database"), ("AsyncDatabase", "async_database")])
def test_a_database_class_brings_little(driver: set[str], name: str, module: str) -> None:
    client = {f"pgusher.client.{each}" for each in ("blocks", "connection_string", "named", "registry", module)}
    assert brought(f"import pgusher; pgusher.{name}", SOURCES) - driver == {
        "pgusher",
        "pgusher.errors",
        "pgusher.client",
        *client,
    }


def test_the_first_use_brings_what_it_needs(driver: set[str]) -> None:
    modules = brought("import pgusher; pgusher.Database('host=/nowhere dbname=x').pool", SOURCES) - driver
    assert not {f"pgusher.client.{name}" for name in LATE} & modules
    assert not [name for name in modules if name.startswith("pgusher.client.async")]
    assert tops(modules) & sys.stdlib_module_names <= {"faulthandler", "gc", "mmap"}
    assert tops(modules) - sys.stdlib_module_names == {"pgusher"}
