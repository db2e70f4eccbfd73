"""The page in a real browser: full server, click a holder, click a moment, live, without JavaScript, in every width."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pgusher.demo.server import EmbeddedServer
from tests.bed.bed import Bed
from tests.surfaces.web.test_server import Running

CHROMIUM = shutil.which("chromium")
try:
    from axe_core_python.base import AXE_SCRIPT
    from playwright.sync_api import Browser, Page, sync_playwright
except ImportError:  # pragma: no cover - the environment of the tests has both
    pytest.skip("playwright or axe-core-python is not installed", allow_module_level=True)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: chromium)")
SERVER_SETTINGS = {"max_connections": 25}
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
WIDE, NARROW, WALL = (1280, 900), (400, 800), (2560, 1440)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def bed(server: EmbeddedServer) -> Iterator[Bed]:
    bed = Bed(server)
    bed.admin.execute("select 1")
    yield bed
    bed.close()


@pytest.fixture(scope="module")
def running(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with 20 slots of 22 taken, and the page of it."""
    with bed.holder("idle", sessions=8), bed.hang("event_never_set", 5):
        running = Running(bed, tmp_path_factory.mktemp("state"))
        yield running
        running.close()


def opened(browser: Browser, running: Running, size: tuple[int, int] = WIDE, **more: Any) -> Page:
    """A page that has signed in as a person does: by the address that was printed."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **more)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(running.url)
    page.wait_for_selector("#verdict")
    assert said == []
    return page


def test_signing_in_leaves_no_token_in_the_address(browser: Browser, running: Running) -> None:
    page = opened(browser, running)
    assert running.token not in page.url
    assert "ordinary slots taken" in page.inner_text("#verdict")
    page.context.close()


def test_from_a_seat_to_the_holder_to_its_plan(browser: Browser, running: Running) -> None:
    page = opened(browser, running)
    page.click("th a:has-text('script/event_never_set.py')")
    page.wait_for_selector("h1:has-text('event_never_set.py')")
    assert "proven" in page.inner_text("#main")
    assert "holds now" in page.inner_text("section[aria-labelledby=budget]")
    page.click("text=Look at its threads")
    page.wait_for_selector("text=ready.wait()")
    page.go_back()
    page.click("text=What would give its slots back")
    page.wait_for_selector("h1:has-text('Plan')", timeout=60_000)
    assert "pgusher free --apply" in page.inner_text("#main")
    assert page.query_selector("form[method=post]") is None
    page.context.close()


def test_a_seat_says_what_it_is_and_leads_to_its_session(browser: Browser, running: Running) -> None:
    page = opened(browser, running)
    seat = page.locator("a.seat").first
    assert "backend" in (seat.get_attribute("title") or "")
    seat.click()
    page.wait_for_selector("h1:has-text('Backend')")
    page.context.close()


def test_it_follows_the_server_without_losing_the_place(browser: Browser, running: Running, bed: Bed) -> None:
    page = opened(browser, running, (400, 400))
    page.wait_for_selector("svg.area")
    link = page.locator("th a:has-text('event_never_set.py')")
    link.focus()
    before = page.evaluate("scrollY")
    assert before > 0
    with bed.holder("idle_in_transaction", sessions=2):
        deadline = time.monotonic() + 60
        while page.locator("a.seat.tx").count() < 2:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert page.evaluate("document.activeElement.textContent") == "script/event_never_set.py"
        assert abs(page.evaluate("scrollY") - before) < 200
    page.context.close()


def test_the_links_to_the_servers_follow_them_too(browser: Browser, running: Running) -> None:
    page = opened(browser, running)
    page.evaluate("document.querySelector('header nav a + a').textContent = '3 of 97'")
    page.focus("header nav a + a")
    page.wait_for_selector("header nav a + a:has-text('Seats')", timeout=60_000)
    assert page.evaluate("document.activeElement.textContent") == "Seats"
    page.context.close()


def test_a_click_on_a_moment_shows_who_held_what(browser: Browser, running: Running) -> None:
    page = opened(browser, running)
    deadline = time.monotonic() + 60
    while page.locator("svg.area a").count() < 4:
        assert time.monotonic() < deadline
        time.sleep(0.3)
        page.reload()
    href = page.locator("svg.area a").nth(2).get_attribute("href")
    assert href is not None
    page.goto(running.base.rstrip("/") + href)
    assert "Who held what at" in page.inner_text("h1")
    assert "event_never_set.py" in page.inner_text("#main")
    page.context.close()


def test_without_javascript_all_of_it_is_there(browser: Browser, running: Running) -> None:
    page = opened(browser, running, java_script_enabled=False)
    assert "event_never_set.py" in page.inner_text("#main")
    page.fill("input[name=only]", "event")
    page.click("button:has-text('Show')")
    assert "only=event" in page.url
    assert "show all" in page.inner_text("#main")
    page.click("th a:has-text('event_never_set.py')")
    assert "What it is" in page.inner_text("#main")
    page.context.close()


@pytest.mark.parametrize("size", [NARROW, WIDE, WALL], ids=["400", "1280", "2560"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_runs_out_of_the_page_and_all_can_read_it(
    browser: Browser, running: Running, size: tuple[int, int], scheme: Any
) -> None:
    page = opened(browser, running, size, color_scheme=scheme)
    holder = running.base + "holder?name=script/event_never_set.py"
    for url in (running.base, holder, running.base + "history", running.base + "rule?name=stuck-job"):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), url
        if (size, scheme) not in {(NARROW, "light"), (WIDE, "dark")}:
            continue  # the rules take a second for each page, and the other pairs have the same colours and texts
        page.evaluate(AXE_SCRIPT)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        told = [(v["id"], [node["html"][:150] for node in v["nodes"][:3]]) for v in found["violations"]]
        assert told == [], json.dumps(told, indent=1)
    page.context.close()


def test_the_first_page_is_there_within_a_second_of_work(browser: Browser, running: Running) -> None:
    """No timing: that the page asks for nothing but itself, its style, its script and its stream."""
    page = opened(browser, running)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_selector("#verdict")
    assert all(url.startswith(running.base) for url in asked)
    assert len(asked) <= 6, asked
    page.context.close()
