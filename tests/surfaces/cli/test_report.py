"""`pgusher report`: one file, which tells nobody's names when it is asked not to."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pgusher.app import store
from pgusher.app.config import Config
from pgusher.app.look import Look
from pgusher.app.why import diagnose
from pgusher.attribute import attribute
from pgusher.model.evidence import Gap
from pgusher.surfaces.cli.context import RealApp
from pgusher.surfaces.render.schema import json_schema
from tests.model.test_anonymous import SECRET, planted
from tests.surfaces import worlds
from tests.surfaces.fakes import Shell


class App(RealApp):
    """The real use cases, on a look that is given."""

    def __init__(self, look: Look) -> None:
        self._given = look

    def config(self, path: str | None) -> Config:  # noqa: ARG002 - as RealApp's
        return Config()

    def looker(self, request: Any) -> Any:  # noqa: ARG002 - as RealApp's
        return self

    def deep_looker(self, request: Any, choose: Any, sample: float = 1.0) -> Any:  # noqa: ARG002 - as RealApp's
        return self

    def look(self) -> Look:
        return self._given

    def close(self) -> None:
        pass


def look(*facts: Any) -> Look:
    gap = Gap("discover", "the socket of acmecorp", "permission denied", "run pgusher as root")
    return Look(tuple(attribute(one) for one in facts), 12.5, (gap,))


LOOK = look(worlds.incident().facts)


def run(path: Path, *words: str, given: Look = LOOK) -> tuple[Any, dict[str, Any]]:
    found = Shell(App(given)).run("report", str(path), *words)  # type: ignore[arg-type]  # as good as a fake one
    data = json.loads(path.read_text()) if found.code == 0 else {}
    return found, data


def test_it_holds_the_look_the_findings_and_the_versions(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    found, data = run(path)
    assert (found.code, found.out) == (0, f"{path}\n")
    assert "--redact" in found.err
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert data["kind"] == "pgusher report"
    assert set(data["versions"]) == {"pgusher", "Python", "psycopg", "libpq"}
    Draft202012Validator(json_schema()).validate(data["why"])
    assert store.read(str(path)) == LOOK
    assert os.listdir(tmp_path) == ["report.json"]


def test_redacted_it_tells_nobodys_names_and_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    found, data = run(path, "--redact")
    text = path.read_text()
    for name in ("anna", "orders", "visits", "stock", "acmecorp"):
        assert not re.search(rf"\b{name}\b", text), name
    assert data["redacted"] is True
    assert data["replaced"]["db"] >= 1
    assert data["same_findings"] is True
    assert "the findings are the same" in found.err
    assert re.search(r"replaced: .*\d+ x name", found.err)
    again = store.read(str(path))
    assert [len(h.sessions) for h in again.snapshots[0].holders] == [len(h.sessions) for h in LOOK.snapshots[0].holders]
    before = [finding.rule for finding in diagnose(LOOK, Config())[0].findings]
    assert [finding.rule for finding in diagnose(again, Config())[0].findings] == before


@pytest.mark.parametrize("world", [worlds.incident, worlds.half_blind, worlds.quiet])
def test_no_planted_secret_is_in_a_redacted_one(tmp_path: Path, world: Any) -> None:
    from pgusher.model.anonymous import _KEPT

    facts = planted(world().facts, _KEPT)
    found, _ = run(tmp_path / "report.json", "--redact", given=look(facts))
    assert found.code == 0, found.err
    assert SECRET not in (tmp_path / "report.json").read_text()
    assert SECRET not in found.err
    run(tmp_path / "open.json", given=look(facts))
    assert SECRET in (tmp_path / "open.json").read_text(), "the test would see it"


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("mine")
    found, _ = run(path, "--redact")
    assert found.code == 3
    assert "the report was not written: it exists" in found.err
    assert "--force" in found.err
    assert path.read_text() == "mine"
    assert os.listdir(tmp_path) == ["report.json"]
    found, data = run(path, "--redact", "--force")
    assert found.code == 0
    assert data["redacted"] is True
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    found, _ = run(tmp_path / "link")
    assert found.code == 3
    assert not (tmp_path / "elsewhere").exists()


def test_without_a_name_it_gets_one_with_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = Shell(App(LOOK)).run("report", "--redact")  # type: ignore[arg-type]  # as above
    (name,) = os.listdir(tmp_path)
    assert re.fullmatch(r"pgusher-report-\d{8}T\d{6}Z\.json", name)
    assert found.out == name + "\n"


def test_it_can_be_made_of_a_snapshot(tmp_path: Path) -> None:
    store.save(str(tmp_path / "now.json"), LOOK)
    found, data = run(tmp_path / "report.json", "--redact", "--from", str(tmp_path / "now.json"))
    assert found.code == 0
    assert len(data["snapshot"]["servers"]) == 1
