"""A back end under uvicorn and under gunicorn --preload, with two workers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.client.fits.conftest import Serve, get

UVICORN = ("uvicorn", "web_app:app", "--port", "PORT", "--log-level", "warning")


def test_a_session_is_back_before_the_response_is_sent(serve: Serve, tmp_path: Path, sessions: Any) -> None:
    port = serve(*UVICORN, BUDGETS=str(tmp_path))
    assert json.loads(get(port, "/async"))["one"] == 1
    assert json.loads(get(port, "/connection")) == {"three": 3}
    assert get(port, "/slowly").split() == ["0"] * 10
    with pytest.raises(HTTPError):
        get(port, "/fails")
    assert json.loads(get(port, "/stats"))["loans"] == 0
    assert {row["state"] for row in sessions()} == {"idle"}
    assert all(row["application_name"].startswith("orders-api ") for row in sessions())


@pytest.mark.parametrize("path", ["/async", "/threads"])
def test_sixty_requests_at_once_keep_the_budget(serve: Serve, tmp_path: Path, sessions: Any, path: str) -> None:
    port = serve(*UVICORN, BUDGETS=str(tmp_path), BUDGET="5")
    with ThreadPoolExecutor(30) as pool:
        most, answers = 0, [pool.submit(get, port, path) for _ in range(60)]
        while not all(answer.done() for answer in answers):
            most = max(most, len(sessions()))
            time.sleep(0.01)
    assert len([json.loads(answer.result()) for answer in answers]) == 60
    assert 1 <= most <= 5
    assert json.loads(get(port, "/stats"))["loans"] == 0


def test_gunicorn_with_preload_gives_each_worker_sessions_of_its_own(
    serve: Serve, tmp_path: Path, sessions: Callable[[], list[dict[str, Any]]]
) -> None:
    argv = ["gunicorn", "-k", "uvicorn.workers.UvicornWorker", "-w", "2", "--preload", "-b", "127.0.0.1:PORT"]
    argv += ["--log-level", "warning", "web_app:app"]
    port = serve(*argv, BUDGETS=str(tmp_path), USE_BEFORE_FORK="1", BUDGET="12")
    before = {row["pid"] for row in sessions()}
    with ThreadPoolExecutor(16) as pool:
        answers = [json.loads(text) for text in pool.map(lambda _: get(port, "/threads"), range(80))]
    seen: dict[int, set[int]] = {}
    for answer in answers:
        seen.setdefault(answer["worker"], set()).add(answer["pid"])
    assert len(seen) == 2
    first, second = seen.values()
    assert not first & second
    assert before  # the master's own session, which is nobody else's
    assert len(sessions()) <= 12  # the budget, over master and workers


def test_the_example_runs_with_two_workers(serve: Serve, sessions: Callable[[], list[dict[str, Any]]]) -> None:
    app = "pgusher.examples.orders_api:app"  # as from an installed wheel: nothing of this tree is needed
    argv = ("uvicorn", app, "--workers", "2", "--port", "PORT", "--log-level", "warning")
    port = serve(*argv, alive="/metrics")
    with ThreadPoolExecutor(20) as pool:
        answers = [json.loads(text) for text in pool.map(lambda _: get(port, "/databases"), range(60))]
    assert all("app" in {row["name"] for row in answer} for answer in answers)
    assert json.loads(get(port, "/databases/app"))["sessions"] >= 1
    for nowhere in ("/databases/nowhere", "/products"):
        with pytest.raises(HTTPError, match="404"):
            get(port, nowhere)
    assert 1 <= len(sessions()) <= 8
    assert "pgusher_pool_sessions" in get(port, "/metrics")
