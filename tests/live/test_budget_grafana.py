"""The budget asks Grafana's API, proposes a limit for its data source, and sets it. Grafana itself is the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from pgusher.demo.grafana_stand_in import StandIn, serving
from pgusher.demo.server import EmbeddedServer
from tests.bed.holder import ROOT

SERVER_SETTINGS = {"max_connections": 40}
ROLE = "dashboards"


@contextmanager
def grafana(server: EmbeddedServer, read_only: bool = False) -> Iterator[tuple[StandIn, str, dict[str, str]]]:
    """With twelve sessions open, as dashboards leave them; how it is asked."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"drop role if exists {ROLE}".encode())
        admin.execute(f"create role {ROLE} login".encode())
    stand_in = StandIn(
        connect=lambda _: psycopg.connect(server.dsn(ROLE, "postgres"), autocommit=True), disposed_after=0.3
    )
    row = stand_in.add(
        "Shop", url=f"127.0.0.1:{server.port}", user=ROLE, secrets={"password": "x"}, readOnly=read_only,
        jsonData={"database": "postgres", "sslmode": "disable", "timescaledb": True},
    )  # fmt: skip
    environment = {"PGUSHER_GRAFANA_TOKEN": stand_in.token()}
    with serving(stand_in) as url:
        stand_in.pools.ask(row, 12)
        yield stand_in, url, environment


def pgusher(
    server: EmbeddedServer, tmp_path: Path, more: dict[str, str], *words: str, url: str = ""
) -> tuple[int, Any, str]:
    command = [sys.executable, "-m", "pgusher", *words, "--json", "--port", str(server.port), "--timeout", "20"]
    command += ["--grafana-url", url] if url else []
    environment = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "src"), "PGUSHER_STATE": str(tmp_path / "state")}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment | more, check=False, cwd=str(tmp_path)
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_its_limit_is_read_by_the_api_and_set(server: EmbeddedServer, tmp_path: Path) -> None:
    with grafana(server) as (stand_in, url, more):
        code, data, _ = pgusher(server, tmp_path, more, "budget", url=url)
        (sheet,) = data["budgets"]
        (claim,) = (one for one in sheet["holders"] if one["roles"] == [ROLE])
        assert (code, claim["holds"], claim["may"]["value"], claim["may"]["certainty"]) == (1, 12, 100, "likely")
        assert "data source Shop 100 (the default" in claim["may"]["source"]

        code, plan, told = pgusher(server, tmp_path, more, "budget", "apply", url=url)
        assert [step["lever"] for step in plan["steps"]] == ["source", "limit"], told
        unsafe = ",".join(step["confirm"] for step in plan["steps"] if step["safety"] == "unsafe")
        words = ("free", "--apply", plan["id"], *(("--unsafe", "--confirm", unsafe) if unsafe else ()))
        code, applied, told = pgusher(server, tmp_path, more, *words)
        assert (code, applied["verdict"]["verified"]) == (0, True), (applied, told)
        (row,) = stand_in.store.rows.values()
        limit = row.json_data["maxOpenConns"]
        assert 12 <= limit <= 37 - 2
        assert row.json_data == {
            "database": "postgres",
            "sslmode": "disable",
            "timescaledb": True,
            "maxOpenConns": limit,
        }
        assert (row.secrets, row.user, row.version) == ({"password": "x"}, ROLE, 2)
        with psycopg.connect(server.dsn()) as admin:
            found = admin.execute("select rolconnlimit from pg_roles where rolname = %s", (ROLE,)).fetchone()
        assert found == (limit,)
        code, data, _ = pgusher(server, tmp_path, more, "budget", url=url)
        assert (code, data["budgets"][0]["fits"]) == (0, True)


def test_a_provisioned_one_is_told_as_what_to_change(server: EmbeddedServer, tmp_path: Path) -> None:
    with grafana(server, read_only=True) as (stand_in, url, more):
        _, plan, told = pgusher(server, tmp_path, more, "budget", "apply", url=url)
        assert [step["lever"] for step in plan["steps"]] == ["limit"]
        assert "by hand: in jsonData of data source Shop: maxOpenConns: " in told
        assert not any(method == "PUT" for method, _ in stand_in.asked)


def test_one_that_holds_nothing_now_counts_as_well(server: EmbeddedServer, tmp_path: Path) -> None:
    with grafana(server) as (stand_in, url, more):
        stand_in.pools.close()
        code, data, _ = pgusher(server, tmp_path, more, "budget", url=url)
        (claim,) = (one for one in data["budgets"][0]["holders"] if one["may"]["value"] == 100)
        assert (code, claim["holds"]) == (1, 0)
        assert claim["holder"] == f"grafana/{url.partition('://')[2]}"


def test_without_an_answer_it_is_said_and_the_rest_is_told(server: EmbeddedServer, tmp_path: Path) -> None:
    code, data, _ = pgusher(server, tmp_path, {"PGUSHER_GRAFANA_TOKEN": "x"}, "budget", url="http://127.0.0.1:9")
    assert code == 0
    assert any(gap["source"] == "grafana" for gap in data["budgets"][0]["gaps"])
