"""The configuration is found in one order, and a broken one is told with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgusher.app.config import Config, load
from pgusher.errors import ConfigError


def test_no_file_is_no_configuration(tmp_path: Path) -> None:
    assert load(environment={"HOME": str(tmp_path)}, cwd=str(tmp_path)) == Config()


def test_the_nearest_file_is_the_only_one_read(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".config" / "pgusher").mkdir(parents=True)
    (home / ".config" / "pgusher" / "pgusher.toml").write_text('dsn = "host=home"')
    here = tmp_path / "here"
    here.mkdir()
    environment = {"HOME": str(home)}
    assert load(environment=environment, cwd=str(here)).dsn == "host=home"
    (here / "pyproject.toml").write_text('[tool.pgusher]\ndsn = "host=project"\n')
    assert load(environment=environment, cwd=str(here)).dsn == "host=project"
    (here / "pgusher.toml").write_text('dsn = "host=here"')
    assert load(environment=environment, cwd=str(here)).dsn == "host=here"
    other = tmp_path / "other.toml"
    other.write_text('dsn = "host=other"')
    assert load(environment=environment | {"PGUSHER_CONFIG": str(other)}, cwd=str(here)).dsn == "host=other"
    assert load(str(other), environment=environment, cwd=str(here)).path == str(other)


def test_crontabs_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "pgusher.toml").write_text('crontabs = ["jobs/crontab", "/srv/crontab"]')
    config = load(environment={}, cwd=str(tmp_path))
    assert config.crontabs == (str(tmp_path / "jobs/crontab"), "/srv/crontab")


def test_what_the_rules_are_told(tmp_path: Path) -> None:
    (tmp_path / "pgusher.toml").write_text('ignore = ["stuck-job:cron/x"]\n[ratios]\nslots-running-out = 1\n')
    config = load(environment={}, cwd=str(tmp_path))
    assert config.ignore == ("stuck-job:cron/x",)
    assert config.ratios == (("slots-running-out", 1.0),)


def test_a_pyproject_without_our_table_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("this is [not toml")
    assert load(environment={}, cwd=str(tmp_path)) == Config()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives a file to another user")
def test_root_does_not_obey_a_stranger_s_file(tmp_path: Path) -> None:
    file = tmp_path / "pgusher.toml"
    file.write_text('dsn = "host=evil"')
    os.chown(file, 65534, 65534)
    assert load(environment={}, cwd=str(tmp_path)) == Config()
    assert load(environment={"SUDO_UID": "65534"}, cwd=str(tmp_path)).dsn == "host=evil"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dsn = ", "cannot be read as TOML"),
        (f"ignore = {'[' * 5000}", "cannot be read as TOML"),
        (f"ratios = {'9' * 5000}", "cannot be read as TOML"),
        ("dsn = 5", "dsn: expected a string"),
        ('crontabs = "x"', "crontabs: expected a list of strings"),
        ('crontabs = ["x", 5]', "crontabs[1]: expected a string"),
        ("crontab = []", "unknown key 'crontab'"),
        ("ignore = 'stuck-job'", "ignore: expected a list of strings"),
        ("ignore = ['stuck-job', 1]", "ignore[1]: expected a string"),
        ("ratios = 0.5", "ratios: expected a table of numbers"),
        ("ratios = {slots-running-out = 'x'}", "ratios.slots-running-out: expected a number from 0 to 1000"),
        ("ratios = {slots-running-out = true}", "ratios.slots-running-out: expected a number from 0 to 1000"),
        ("ratios = {slots-running-out = nan}", "ratios.slots-running-out: expected a number from 0 to 1000"),
    ],
)
def test_a_broken_file_is_one_message(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "pgusher.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(environment={}, cwd=str(tmp_path))
    assert str(raised.value) == f"{tmp_path}/pgusher.toml: {words}"


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="could not be read: no such file or directory"):
        load(str(tmp_path / "none.toml"), environment={})


def test_bytes_that_are_no_text_are_one_message(tmp_path: Path) -> None:
    (tmp_path / "pgusher.toml").write_bytes(b"dsn = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8 at byte"):
        load(environment={}, cwd=str(tmp_path))
