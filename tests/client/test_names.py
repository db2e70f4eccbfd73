"""The public names that need the driver are there, and are resolved on first use only."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pgusher


def test_pools_are_those_of_psycopg_pool() -> None:
    import psycopg_pool

    assert issubclass(pgusher.Pool, psycopg_pool.ConnectionPool)
    assert issubclass(pgusher.AsyncPool, psycopg_pool.AsyncConnectionPool)
    assert {"Pool", "AsyncPool"} <= set(dir(pgusher))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Pol'"):
        _ = pgusher.Pol  # type: ignore[attr-defined]


def test_the_driver_comes_with_the_first_use() -> None:
    program = (
        "import sys, pgusher; before = 'psycopg_pool' in sys.modules; pgusher.Pool;"
        "print(before, 'psycopg_pool' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
