"""A real Prometheus scrapes the page while a server fills up; promtool holds what we give it against its rules."""

from __future__ import annotations

import json
import pkgutil
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

import pgusher.diagnose.rules
from pgusher.demo.server import EmbeddedServer
from pgusher.surfaces.metrics.dashboard import dashboard, expressions
from pgusher.surfaces.metrics.text import names
from tests.bed.bed import APP, Bed
from tests.surfaces.web.test_server import Running

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="no Prometheus here (Debian: prometheus)")
SERVER_SETTINGS = {"max_connections": 80, "lc_messages": "C"}
RULES = (pkgutil.get_data("pgusher.surfaces.metrics", "data/pgusher-alerts.yml") or b"").decode()


def promtool(*words: str) -> None:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_are_rules_and_ask_for_series_that_there_are(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    promtool("check", "rules", str(path))
    assert set(re.findall(r"\bpgusher_\w+", RULES)) <= set(names())


def test_the_runbook_of_each_alert_is_a_page_that_there_is() -> None:
    runbooks = re.findall(r"runbook: '?pgusher (\S+)(?: ([a-z-]+))?", RULES)
    assert len(runbooks) == RULES.count("- alert:")
    for command, rule in runbooks:
        page = Path(pgusher.diagnose.rules.__file__).with_name(f"{rule.replace('-', '_')}.md")
        assert command == "doctor" or not rule or page.exists(), rule


def test_the_alerts_fire_when_they_should_and_not_else(tmp_path: Path) -> None:
    """promtool runs them over series that are written down."""
    (tmp_path / "rules.yml").write_text(RULES)
    series = [
        ('pgusher_up{server="5432"}', "1+0x40"),
        ('pgusher_seconds_to_full{server="5432"}', "+Inf+0x5 1800-30x34"),
        ('pgusher_slots_taken{server="5432"}', "50+1x40"),
        ('pgusher_slots_ordinary_max{server="5432"}', "97+0x40"),
        ('pgusher_full{server="5432"}', "0+0x35 1+0x5"),
    ]
    filling = {
        "exp_labels": {"server": "5432", "severity": "warning"},
        "exp_annotations": {
            "summary": "the server 5432 is full in 26m 0s at the present rate",
            "description": "Who takes them: pgusher --port 5432, or topk(5, pgusher_holder_slots)",
            "runbook": "pgusher explain slots-running-out",
        },
    }
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series],
                "alert_rule_test": [
                    {"eval_time": "5m", "alertname": "PostgresSlotsFillingUp", "exp_alerts": []},
                    {"eval_time": "14m", "alertname": "PostgresSlotsFillingUp", "exp_alerts": [filling]},
                    {"eval_time": "14m", "alertname": "PostgresSlotsExhausted", "exp_alerts": []},
                    {"eval_time": "30m", "alertname": "PgusherSeesNothing", "exp_alerts": []},
                ],
            }
        ],
    }
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps(tests))  # JSON is YAML
    promtool("test", "rules", str(path))


def test_the_dashboard_asks_for_series_that_there_are_and_has_no_two_panels_on_one_place(tmp_path: Path) -> None:
    rules = [{"record": f"x:{n}", "expr": re.sub(r"\$\w+", "5m", e)} for n, e in enumerate(expressions())]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "x", "rules": rules}]}))
    promtool("check", "rules", str(path))
    assert {name for one in expressions() for name in re.findall(r"\bpgusher_\w+", one)} <= set(names())
    cells: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        mine = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not mine & cells
        assert place["x"] + place["w"] <= 24
        cells |= mine
    assert json.loads(json.dumps(dashboard()))["uid"] == "pgusher"


@pytest.fixture(scope="module")
def bed(server: EmbeddedServer) -> Iterator[Bed]:
    bed = Bed(server)
    yield bed
    bed.close()


@pytest.fixture(scope="module")
def running(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(bed, tmp_path_factory.mktemp("state"))
    yield running
    running.close()


@pytest.fixture
def prometheus(running: Running, tmp_path: Path) -> Iterator[str]:
    """Its address. Its patience is cut from minutes to a second."""
    (tmp_path / "token").write_text(running.token)
    (tmp_path / "rules.yml").write_text(re.sub(r"for: \d+[ms]", "for: 1s", RULES))
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": "pgusher",
                "authorization": {"credentials_file": "token"},
                "static_configs": [{"targets": [f"127.0.0.1:{running.port}"]}],
            }
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], cwd=tmp_path, stdout=log, stderr=log
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def asked(address: str, path: str, **words: str) -> Any:
    try:
        return httpx.get(f"{address}/api/v1/{path}", params=words, timeout=10).json()["data"]
    except (httpx.TransportError, ValueError):
        return None


def firing(address: str) -> set[str]:
    found = asked(address, "alerts") or {"alerts": []}
    return {one["labels"]["alertname"] for one in found["alerts"] if one["state"] == "firing"}


def test_it_warns_before_a_leaking_server_is_full(running: Running, prometheus: str, bed: Bed) -> None:
    leaked: list[psycopg.Connection[Any]] = []
    warned_at = None
    try:
        deadline = time.monotonic() + 120
        while warned_at is None:
            # One a second: 77 seconds until it is full.
            leaked.append(psycopg.connect(bed.server.dsn(APP)))
            assert time.monotonic() < deadline
            if "PostgresSlotsFillingUp" in firing(prometheus):
                warned_at = len(leaked)
            time.sleep(0.8)
        assert warned_at < 70
        assert "PostgresSlotsExhausted" not in firing(prometheus)
        (up,) = asked(prometheus, "query", query="pgusher_up")["result"]
        assert up["value"][1] == "1"
        while True:
            try:
                leaked.append(psycopg.connect(bed.server.dsn(APP)))
            except psycopg.OperationalError:
                break
        while "PostgresSlotsExhausted" not in firing(prometheus):
            assert time.monotonic() < deadline + 60
            time.sleep(0.3)
        # While it is full the series go on: it is seen by the connection that is held.
        (total,) = asked(prometheus, "query", query="sum(pgusher_slots)")["result"]
        assert total["value"][1] == "80"
        # Whom it refuses, it writes into its log.
        for _ in range(20):
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(bed.server.dsn(APP))
        query = 'sum(increase(pgusher_logged_refusals_total{ceiling="ordinary_slots"}[1m]))'
        while "PostgresRefusesClients" not in firing(prometheus):
            assert time.monotonic() < deadline + 90
            time.sleep(0.3)
        (counted,) = asked(prometheus, "query", query=query)["result"]
        assert float(counted["value"][1]) > 0
    finally:
        for one in leaked:
            one.close()
