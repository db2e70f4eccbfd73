"""`pgusher record` and `pgusher history`: a real server is recorded, and what was kept is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pgusher.demo.server import EmbeddedServer
from pgusher.model.server import Limit
from pgusher.model.values import replace
from pgusher.surfaces.render.schema import json_schema
from tests.bed.bed import Bed
from tests.bed.holder import ROOT
from tests.record.days import EIGHT, SECOND, Clock, pool, recorder, session, snapshot
from tests.surfaces.fakes import FakeApp, Result, Shell

VALIDATOR = Draft202012Validator(json_schema())
SERVER_SETTINGS = {"max_connections": 12}
HOSTILE = "=cmd|'/c calc'!A0 \x1b[2J"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An hour: a pool of ten, a job at 08:30, and a time in which nobody looked."""
    path = tmp_path_factory.mktemp("store") / "record.db"
    clock = Clock()
    made = recorder(path, clock)
    for second in [*range(1801), *range(2400, 3600, 2)]:
        clock.now = float(second)
        job = pool(60, "cron/report", 500) if second >= 1790 else []
        held = [*pool(10), *job, session(7, HOSTILE, user=HOSTILE)]
        made.take([snapshot(EIGHT + second * SECOND, held, limits=((Limit("app", 75, 0), Limit(HOSTILE, 1, 1)), ()))])
    made.close()
    return str(path)


def run(store: str, *words: str) -> Result:
    return Shell(FakeApp()).run("history", "--store", store, *words)


def page(store: str, *words: str) -> str:
    done = run(store, "--width", "110", *words)
    assert done.code == 0, done.err
    return done.out


class TestHistory:
    def test_who_held_what_at_a_moment(self, store: str) -> None:
        out = page(store, "--at", "2026-04-12T08:29:55Z")
        assert "71 of 100 slots of port 5432 taken, 97 ordinary" in out.splitlines()[0]
        assert [line.split()[:2] for line in out.splitlines() if "proven" in line][:2] == [
            ["cron/report", "60"], ["unit/web", "10"]
        ]  # fmt: skip
        assert "\x1b" not in out

    def test_a_limit_that_was_nearly_reached_is_told(self, store: str) -> None:
        out = page(store, "--at", "2026-04-12T08:29:55Z")
        assert "role app: 70 of 75 (CONNECTION LIMIT)" in out
        assert "1 of 1 (CONNECTION LIMIT)" in out
        before = page(store, "--at", "2026-04-12T08:20:00Z")
        assert "role app" not in before
        words = ("--at", "2026-04-12T08:20:00Z", "--holder", "cron/report", "--json")
        assert {"kind": "role", "name": "app", "used": 10, "limit": 75} in json.loads(run(store, *words).out)["limits"]

    def test_a_moment_at_which_nobody_looked_is_not_told_as_empty(self, store: str) -> None:
        out = page(store, "--at", "2026-04-12T08:35:00Z")
        assert "nobody looked at port 5432 then" in out
        assert "lived through it; who else was there is not known" in out

    def test_the_most_that_each_had(self, store: str) -> None:
        out = page(store, "--since", "2026-04-12T08:00Z", "--until", "2026-04-12T09:00Z")
        assert "at most 71 of 100 slots taken" in out
        assert "nobody looked from" in out
        rows = [line.split() for line in out.splitlines()]
        assert ["unit/web", "10"] in [row[:2] for row in rows]
        assert ["cron/report", "60"] in [row[:2] for row in rows]

    def test_one_holder_with_its_sessions_and_how_it_is_known(self, store: str) -> None:
        out = page(store, "--since", "2026-04-12T08:00Z", "--until", "2026-04-12T09:00Z", "--holder", "cron/report")
        assert "inode 500 is open as fd 7" in out
        assert "unit/web" not in out

    def test_a_holder_that_is_mistyped_is_told(self, store: str) -> None:
        done = run(store, "--since", "2026-04-12T08:00Z", "--until", "2026-04-12T09:00Z", "--holder", "cron/reprot")
        assert done.code == 2
        assert "did you mean cron/report?" in done.err

    @pytest.mark.parametrize(
        "words",
        [
            ("--at", "2026-04-12T08:29:55Z"),
            ("--at", "2026-04-12T08:35Z"),
            ("--since", "2026-04-12", "--until", "2026-04-13"),
            ("--since", "2026-04-12", "--until", "2026-04-13", "--holder", "unit/web"),
        ],
    )
    def test_json_is_as_its_schema_says(self, store: str, words: tuple[str, ...]) -> None:
        done = run(store, "--json", *words)
        data = json.loads(done.out)
        assert [error.message for error in VALIDATOR.iter_errors(data)] == []
        if "08:35" in words[1]:
            assert (data["seen"], data["taken"]) == (False, None)

    def test_a_pipe_gets_tabs_and_exact_times(self, store: str) -> None:
        lines = run(store, "--at", "2026-04-12T08:10Z").out.splitlines()
        assert lines[0] == "holder\tslots\toldest\tstates\tknown"
        assert lines[1].startswith("unit/web\t10\t2026-04-11T23:59:59.000100Z\t10 idle\tproven")

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--at", "08:00", "--since", "07:00"), "--at is one moment"),
            (("export", "--at", "08:00"), "--at is one moment"),
            (("--format", "parquet"), "--format is about pgusher history export"),
            (("-o", "x.csv"), "--output is about pgusher history export"),
            (("export", "--since", "2026-04-12", "--until", "2026-04-13", "--holder", "cron/reprot"), "no holder"),
        ],
    )
    def test_what_would_count_for_nothing_is_refused(self, store: str, words: tuple[str, ...], said: str) -> None:
        done = run(store, *words)
        assert (done.code, done.out) == (2, "")
        assert said in done.err

    def test_a_holder_that_had_nothing_at_a_moment_is_told(self, store: str) -> None:
        done = run(store, "--at", "2026-04-12T08:10Z", "--holder", "cron/report")
        assert done.code == 0
        assert "had no slot then" in done.err

    def test_words_that_are_no_times_are_told(self, store: str) -> None:
        done = run(store, "--at", "noonish")
        assert done.code == 2
        assert 'option --at: expected a time, as 08:00, "yesterday 20:00"' in done.err

    def test_it_is_exported_and_no_cell_is_a_formula(self, store: str, tmp_path: Path) -> None:
        words = ("export", "--since", "2026-04-12", "--until", "2026-04-13")
        lines = run(store, *words).out.splitlines()
        assert len(lines) == 1 + 71
        assert "'=cmd" in "\n".join(lines)
        parquet: Any = import_module("pyarrow.parquet")
        path = tmp_path / "x.parquet"
        done = run(store, *words, "--format", "parquet", "-o", str(path))
        assert "71 sessions" in done.err
        table = parquet.read_table(path).to_pylist()
        assert len(table) == 71
        assert {row["holder"] for row in table} == {"unit/web", "cron/report", HOSTILE}
        assert str(table[0]["first_seen"].tzinfo) == "UTC"


def test_of_several_servers_one_is_shown_and_the_others_are_named(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    made = recorder(path)
    one = snapshot(EIGHT, pool(3))
    other = replace(one, facts=replace(one.facts, server=replace(one.facts.server, port=5433)))
    made.take([one])
    made.take([replace(other, facts=replace(other.facts, taken_at=EIGHT + SECOND))])
    made.close()
    done = run(str(path), "--at", "2026-04-12T08:00:01Z", "--json")
    assert json.loads(done.out)["server"] == "port 5433"
    assert done.err == "this is port 5433; the store has port 5432 too: --server NAME\n"
    assert run(str(path), "--at", "2026-04-12T08:00:00Z", "--json", "--server", "5432").err == ""


def test_a_store_that_is_not_there_is_told_with_what_makes_one(tmp_path: Path) -> None:
    done = run(str(tmp_path / "none.db"))
    assert (done.code, "pgusher record" in done.err) == (3, True)


def test_a_server_is_recorded_until_sigterm_also_while_full(bed: Bed, server: EmbeddedServer, tmp_path: Path) -> None:
    store = str(tmp_path / "record.db")
    argv = [sys.executable, "-m", "pgusher", "record", "--port", str(server.port), "--every", "0.2", "--store", store]
    environment = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "src"), "PGUSHER_STATE": str(tmp_path)}
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "recording every 0.2 s" in process.stderr.readline()
        try:
            held = len(bed.fill().truth.sessions)
            _await(store, held)
        finally:
            process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert process.wait(30) == 0, said
    assert "recorded" in said
    data = json.loads(run(store, "--json").out)
    total = data["holders"][0]
    assert total["most"] >= held
    assert {holder["name"] for holder in data["holders"]} > {None, "pgusher"}


def _await(store: str, most: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        done = run(store, "--json")
        if done.code == 0 and any(h["name"] not in (None, "pgusher") and h["most"] >= most
                                  for h in json.loads(done.out)["holders"]):  # fmt: skip
            return
        time.sleep(0.1)
    raise AssertionError("nothing was recorded in 30 s")
