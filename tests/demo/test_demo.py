"""The whole demo, as a person runs it, in a world of its own: what it stages is true, and nothing of it stays."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pgusher.demo import crontab
from pgusher.demo.account import account, allows
from tests.demo.sealed import ROOT, sealed, unshare


@cache
def why_not_sealed() -> str | None:
    """Why no world of its own can be made here; None when it can."""
    if shutil.which("unshare") is None:
        return "unshare is not installed"
    done = subprocess.run([*unshare(), "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no namespaces can be made here: {done.stderr.strip()}"


def why_not_nobody() -> str | None:
    """Why the demo cannot be run as nobody from here; None when it can."""
    if os.geteuid() != 0:
        return "the tests run as an ordinary user already"
    try:
        who = account("nobody")
    except KeyError:
        return "there is no user nobody"
    if not allows(sys.executable, who, os.X_OK) or not allows(str(ROOT / "src"), who, os.R_OK | os.X_OK):
        return "nobody may not run this interpreter from here: make test-as-user does it"
    return None


def real_cron() -> bool:
    """Whether the staging has a real one."""
    return crontab.why_no_cron("/dev/shm") is None


pytestmark = pytest.mark.skipif(why_not_sealed() is not None, reason=str(why_not_sealed()))


def test_it_tells_the_incident_and_leaves_nothing() -> None:
    seen = sealed("normal")
    assert seen["code"] == 0
    assert seen["left"] == {}
    assert seen["inside"]["processes"] > 100, "97 sessions and their clients are processes"
    assert seen["inside"]["files"] > 1000
    assert seen["seconds"] < 300, "it hangs: on a machine that is not busy it takes 10 s"
    told = seen["err"]
    *slots, orders = [int(slots) for slots in re.findall(r" (\d+) slots?\n", told)]
    assert slots == [18, 20, 2, 57, 97, 10]
    assert 1 <= orders <= 4
    assert "97 of 97 slots" in told
    assert re.search(r"exit code [1-9]\d*; the server said to it\n\s+FATAL:  remaining connection slots are", told)
    assert told.rstrip().endswith("nothing is left behind")
    assert ("cron runs" in told) == real_cron()
    assert "\x1b" not in told
    diagnosed(seen["out"])
    assert re.search(r"the refused back end now starts, in \d+\.\d s, its pool is full +10 slots\n", told)
    assert re.search(r"pgusher's Database, 2 workers, Budget\(4\), answers\n +40 of 40 requests made at once", told)
    freed(told, seen["out"])
    budgeted(told, seen["out"])
    guarded(told, seen["out"])
    before = re.search(r"has refused not one of their sessions since the limits were set, (\d+) before\n", told)
    assert before is not None, told
    assert int(before[1]) > 0


def budgeted(told: str, out: str) -> None:
    """100 and 20 and no limit against 97; then shares that fit, set by the server and by the stand-in's API."""
    assert re.search(r"^status\ttoo much\tthe holders may take at least 1[34]\d of 97 slots", out, re.M), out
    its = r"^script/grafana_stand_in.py\tscript\t57\t.*\t100\tlikely\tdata source MES 100 \(the default"
    assert re.search(its, out, re.M), out
    assert len(re.findall(r"^\$ pgusher budget apply --config \S+/budget.toml(?: --port \d+)?$", told, re.M)) == 1
    levers = re.findall(r"^\d+\t(source|limit)\t(?:un)?safe\t", out, re.M)
    assert levers == ["source", "limit", "limit", "limit"], out
    limits = dict(re.findall(r"^\d+\t(\w+)\tCONNECTION LIMIT\t-1\t(\d+)$", out, re.M))
    assert (limits["jobs"], limits["shop_api"]) == ("9", "34")
    assert 30 <= int(limits["grafana"]) <= 41
    assert re.search(rf"\tmaxOpenConns is {limits['grafana']}, version 2; health: ", out), out


def guarded(told: str, out: str) -> None:
    """The three scripts under the guard: each fails by itself, and the line that raised is named."""
    assert len(re.findall(r"^\$ pgusher run --grace 0.5s -- python\S* \w+\.py$", told, re.M)) == 3
    for script, raised in RAISED.items():
        name = script.removesuffix(".py")
        assert re.search(rf"  {script} has ended after \d+\.\d s with exit code 1\n", told), told
        (said,) = re.findall(rf"^pgusher: job {name} has failed: a thread of it died\nDETAIL:  (.*)$", told, re.M)
        assert f"{script}:{line_of(script, raised)}" in said
        assert re.search(rf"^{name}\t\t[^\t]+\tthread\t", out, re.M), out


def freed(told: str, out: str) -> None:
    """What was typed to give the slots back, and what was seen: 12 slots of two jobs, then 6 of the one by its name."""
    assert len(re.findall(r"^\$ pgusher budget (?:plan )?--config \S+/budget.toml(?: --port \d+)?$", told, re.M)) == 2
    assert len(re.findall(r"^\$ pgusher free(?: --port \d+)?$", told, re.M)) == 1
    assert len(re.findall(r"^\$ pgusher free --apply \w{4} --unsafe --confirm cron/\S+", told, re.M)) == 2
    assert re.search(r"^\$ pgusher free \w+/stock_report\S*", told, re.M)
    assert re.search(r"^plan\t\w{4}\tplan \w{4}: 4 steps give 12 of \d+ taken slots\b.* back$", out, re.M)
    assert re.findall(r"^verdict\t(.*)$", out, re.M)[:2] == [
        "verified\t12 of 12 sessions are gone",
        "verified\t6 of 6 sessions are gone",
    ]
    assert len(re.findall(r"^proof\trole \w+ took an ordinary slot in \d+ ms, and gave it back$", out, re.M)) == 2


RAISED = {
    "version_history.py": 'int(row["version"])',
    "stock_report.py": 'row["pieces"] // row["boxes"]',
    "price_import.py": "float(price)",
}


def diagnosed(out: str) -> None:
    """The diagnosis, as a program gets it: the true cause, thread and line of each script, the pools, the stand-in."""
    findings = out[out.index("severity\trule\tabout") :]
    rows = [line.split("\t") for line in findings.split("\n\n")[0].splitlines()[1:]]
    hung = {row[9].rpartition("/")[2]: row for row in rows if row[1] == "dead-thread-holds-slots"}
    truth = {
        "version_history.py": ("MainThread", "todo[name].join()", 'int(row["version"])', "9"),
        "stock_report.py": ("MainThread", "loaded.wait()", 'row["pieces"] // row["boxes"]', "6"),
        "price_import.py": ("writer-", "prices[name].get()", "float(price)", "3"),
    }
    assert set(hung) == set(truth)
    for script, (thread, waits, raised, slots) in truth.items():
        row = hung[script]
        assert row[8].startswith(thread), row
        assert int(row[10]) == line_of(script, waits), row
        assert f"{script}:{line_of(script, raised)}, likely: the job's log has a traceback" in row[12], row
        assert row[4] == slots, row
    (pool,) = (row for row in rows if row[1] == "idle-pool-oversized")
    assert re.fullmatch(r"uvicorn/shop_api: (19|20) of 20 sessions never ran a statement", pool[11])
    (most,) = (row for row in rows if row[1] == "one-holder-takes-all")
    assert most[11] == "script/grafana_stand_in.py holds 57 of 97 ordinary slots"
    assert not any("grafana" in row[1] for row in rows), "a stand-in is not the real one"
    assert {row[1] for row in rows if row[0] == "critical"} <= {
        "dead-thread-holds-slots", "idle-pool-oversized", "one-holder-takes-all", "slots-exhausted",
    }  # fmt: skip


def line_of(script: str, text: str) -> int:
    """The number of the line of a staged script that holds the text."""
    lines = (Path(ROOT) / "src/pgusher/demo/actors" / script).read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if text in line)
    return number


@pytest.fixture(scope="module", params=["ourselves", "nobody"])
def seen(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "nobody" and (why := why_not_nobody()) is not None:
        pytest.skip(why)
    return sealed("kept", user=None if request.param == "ourselves" else request.param)


def by_cron(seen: dict[str, Any]) -> bool:
    """Whether a real cron has started the jobs."""
    return any("CRON" in parents[1] for parents in seen["parents"].values() if len(parents) > 1)


class TestKept:
    """One demo that is kept, looked at, and stopped."""

    def test_it_outlives_its_terminal_and_ends_when_told(self, seen: dict[str, Any]) -> None:
        assert seen["code"] == 0
        assert seen["other_port"] == 2
        assert seen["stop_code"] == 0
        assert seen["stop_err"].rstrip().endswith("nothing is left behind")
        assert seen["left"] == {}

    def test_it_says_what_to_type(self, seen: dict[str, Any]) -> None:
        told = seen["out"] + seen["err"]
        for words in (
            "pgusher demo --stop",
            f"-p {seen['port']} -U postgres",
            "cd /",
            "cron/" if by_cron(seen) else "script/",
        ):
            assert words in told
        assert "waiting for" in told, "on a terminal it says what it waits for"

    def test_every_slot_is_held_as_told(self, seen: dict[str, Any]) -> None:
        held: dict[str, int] = {}
        for note in seen["notes"]:
            held[note["part"]] = held.get(note["part"], 0) + len(note["sessions"])
        assert held == {
            "grafana_stand_in": 57,
            "shop_api": 20,
            "version_history": 9,
            "stock_report": 6,
            "price_import": 3,
            "anna": 1,
            "ben": 1,
        }
        sessions = [pid for note in seen["notes"] for pid in note["sessions"]]
        assert len(sessions) == len(set(sessions)) == 97

    def test_the_processes_are_what_they_are_said_to_be(self, seen: dict[str, Any]) -> None:
        for note in seen["notes"]:
            parents, terminal = seen["parents"][str(note["pid"])], seen["terminals"][str(note["pid"])]
            assert (terminal != 0) == (note["part"] in ("anna", "ben")), note["part"]
            if note["part"] in ("version_history", "stock_report", "price_import"):
                assert parents[0].startswith("/bin/sh -c cd ")
                real = "CRON" in parents[1]
                assert real or "pgusher.demo.cron_stand_in" in parents[1]
            if note["part"] == "shop_api":
                assert "uvicorn shop_api:app" in parents[0]

    def test_pgusher_names_the_true_holder_of_every_slot(self, seen: dict[str, Any]) -> None:
        answer = json.loads(seen["json"])
        (server,) = (server for server in answer["servers"] if server["port"] == seen["port"])
        chains = {session["pid"]: session for session in server["sessions"]} if "sessions" in server else {}
        holders = {pid: holder for holder in server["holders"] for pid in holder["sessions"]}
        assert chains == {} or len(chains) >= 97
        names: dict[str, set[str]] = {}
        for note in seen["notes"]:
            for pid in note["sessions"]:
                assert note["pid"] in holders[pid]["processes"], (note["part"], holders[pid])
                names.setdefault(note["part"], set()).add(holders[pid]["name"])
        assert all(len(found) == 1 for found in names.values()), names
        assert len({name for found in names.values() for name in found}) == len(names), names
        by_name = {holder["name"]: holder for holder in server["holders"]}
        for script, runs in (("version_history", 3), ("stock_report", 2), ("price_import", 1)):
            (name,) = names[script]
            assert by_name[name]["runs"] == runs
            real = "CRON" in seen["parents"][str(by_name[name]["processes"][0])][1]
            assert by_name[name]["kind"] == ("cron" if real else "script"), "a stand-in for cron is not cron"
            if real:
                command = rf"cd shop && \S+ {script}\.py >> \.\./log/{script}\.log 2>&1"
                assert re.search(rf"^cron job \S+ \S+ \* \* \* {command} \(root, .*:\d+\)$", by_name[name]["title"])
                assert by_name[name]["certainty"] == "proven"
        (grafana,) = names["grafana_stand_in"]
        assert by_name[grafana]["program"] != "Grafana", "a stand-in is not the real one"


@pytest.mark.parametrize(
    ("until", "to", "number", "code"),
    [
        pytest.param("", "command", "SIGINT", 130, id="Ctrl-C at once"),
        pytest.param("on port", "command", "SIGTERM", 143, id="SIGTERM with the server up"),
        pytest.param("three scripts", "command", "SIGINT", 130, id="Ctrl-C with the jobs up"),
        pytest.param("three scripts", "command", "SIGHUP", 129, id="the terminal is closed"),
        pytest.param("psql is", "command", "SIGKILL", -9, id="SIGKILL of the command"),
        pytest.param("on port", "host", "SIGKILL", 3, id="SIGKILL of the keeping process"),
        pytest.param("psql is", "both", "SIGKILL", -9, id="SIGKILL of both"),
    ],
)
def test_nothing_is_left_after(until: str, to: str, number: str, code: int) -> None:
    seen = sealed("signalled", until=until, to=to, number=number)
    assert seen["code"] == code
    assert seen["inside"] >= 2, "there was something to leave behind"
    assert seen["left"] == {}
    if number != "SIGKILL":
        assert seen["err"].rstrip().endswith("nothing is left behind")


def test_who_reads_what_a_kept_demo_says_comes_to_its_end() -> None:
    seen = sealed("kept_behind_a_pipe")
    assert seen["code"] == 0
    assert len(seen["kept"]) == 1, "it was kept meanwhile"
    assert seen["left"] == {}


def test_nothing_is_left_after_ctrl_c_in_a_terminal_while_pgusher_runs() -> None:
    seen = sealed("signalled", until=r"\$ pgusher", to="command", number="SIGINT", terminal=True)
    assert seen["code"] == 130
    assert seen["inside"] > 100
    assert seen["left"] == {}


def test_ctrl_c_again_and_again_changes_nothing() -> None:
    seen = sealed("stubborn")
    assert seen["left"] == {}


def test_a_part_that_fails_is_told_and_nothing_is_left() -> None:
    seen = sealed("crashed")
    assert seen["code"] != 0
    assert "pgusher: shop-api has ended with exit code -9" in seen["err"]
    assert seen["left"] == {}


def test_what_is_left_when_everything_was_killed_at_once_is_ended_by_stop() -> None:
    seen = sealed("orphaned")
    assert any("version_history.py" in process for process in seen["between"]), "the case is not what it should be"
    assert seen["code"] == 0
    assert "Ended what was left of an earlier demo" in seen["err"]
    assert seen["left"] == {}


def test_the_tree_it_is_run_from_stays_as_it_was() -> None:
    """The actors are copied: a byte code cache beside them would be one more file left behind."""
    assert not (Path(ROOT) / "src/pgusher/demo/actors/__pycache__/database.cpython-311.pyc").exists()
