"""What was recorded reaches the rules: out of the usual store or another one, read once a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgusher.app.budget import sheets
from pgusher.app.config import Config, load
from pgusher.app.look import Look
from pgusher.app.recorded import past_of
from pgusher.app.why import diagnose
from pgusher.errors import ConfigError
from pgusher.model.budget import Amount
from pgusher.model.evidence import Gap
from pgusher.model.past import ALL, MINUTE, Past
from pgusher.model.values import replace
from tests.incidents.recorded import WEEK, each_morning
from tests.record.days import MIDNIGHT, SECOND, recorder, snapshot

LAST = snapshot(MIDNIGHT + WEEK[-1] * MINUTE, each_morning(WEEK[-1]))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("store") / "record.db"
    made = recorder(path, every=300.0)
    for minute in WEEK:
        made.take([snapshot(MIDNIGHT + minute * MINUTE, each_morning(minute))])
        if minute % 60 == 0:
            made.commit()
    made.close()
    return str(path)


def test_days_are_of_those_that_rose_and_to_the_minute(store: str) -> None:
    past = past_of(LAST, store)
    assert isinstance(past, Past)
    assert [series.holder for series in past.days] == [ALL, "cron/report"]
    total, report = past.days
    assert len(total.most) == len(report.most) == 14 * 1440
    eight = next(at for at, number in enumerate(report.most) if number)
    assert report.at(eight) == MIDNIGHT + 480 * MINUTE
    assert (total.most[eight], report.most[eight], report.most[eight + 24], report.most[eight + 25]) == (90, 40, 40, 0)


def test_the_store_of_the_configuration_is_asked(store: str, tmp_path: Path) -> None:
    path = tmp_path / "pgusher.toml"
    path.write_text(f'store = "{store}"\n[budget.web]\ntotal = 40\n')
    config = load(str(path))
    (diagnosis,) = diagnose(Look((LAST,), 1.0, ()), config)
    found = {finding.rule: finding.message for finding in diagnosis.findings}
    assert found["daily-peak"].startswith("cron/report: 40 more slots each day at ")
    assert found["above-budget"] == "budget web: 50 of 40 slots are held, 10 too many"
    (without,) = diagnose(Look((LAST,), 1.0, ()), Config(store=str(tmp_path / "none")))
    assert {skipped.rule for skipped in without.skipped} >= {"daily-peak", "leaking-slots"}


def test_a_relative_store_is_beside_its_file(tmp_path: Path) -> None:
    path = tmp_path / "pgusher.toml"
    path.write_text('store = "deep/record.db"\n')
    assert load(str(path)).store == str(tmp_path / "deep/record.db")
    path.write_text('store = "host=db2 dbname=history"\n')
    assert load(str(path)).store == "host=db2 dbname=history"
    path.write_text("store = 3\n")
    with pytest.raises(ConfigError, match="store: expected a file or a connection string"):
        load(str(path))


def test_it_is_read_once_a_minute(store: str) -> None:
    first = past_of(LAST, store)
    soon = replace(LAST, facts=replace(LAST.facts, taken_at=LAST.facts.taken_at + 59 * SECOND))
    later = replace(LAST, facts=replace(LAST.facts, taken_at=LAST.facts.taken_at + 61 * SECOND))
    assert past_of(soon, store) is first
    assert past_of(later, store) is not first


def test_a_store_that_cannot_be_read_is_a_gap_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    path.write_bytes(b"no database at all" * 100)
    gap = past_of(LAST, str(path))
    assert isinstance(gap, Gap)
    assert str(path) in gap.why


def test_of_a_recorder_that_is_away_nothing_follows(store: str) -> None:
    later = replace(LAST, facts=replace(LAST.facts, taken_at=LAST.facts.taken_at + 3600 * SECOND))
    assert past_of(later, store) is None


def test_the_budget_has_the_most_of_a_week(store: str) -> None:
    (sheet,) = sheets(Look((LAST,), 1.0, ()), Config(store=store), history=True)
    (claim,) = (one for one in sheet.claims if one.holder == "unit/web")
    assert claim.peak == Amount(50, "in the last 7 days, by the memory")
    (without,) = sheets(Look((LAST,), 1.0, ()), Config(store=store), history=False)
    assert all(one.peak is None for one in without.claims)
