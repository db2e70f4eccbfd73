"""`pgusher run`: what a job is called that was given no name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.surfaces.cli.run import default_name


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python3.11 -u /srv/report.py --daily", "report"),
        ("python -m app.worker", "app.worker"),
        ("python manage.py clean", "clean"),
        ("timeout 9m flock -n /run/l nice -n 19 sudo -u bob /srv/load.sh x", "load"),
        ("/opt/bin/sync --all", "sync"),
        ("true", "true"),
        ("../x", "x"),
    ],
)
def test_a_job_is_called_by_its_script(command: str, name: str) -> None:
    assert default_name(tuple(command.split())) == name


def test_the_text_for_a_shell_is_looked_into() -> None:
    assert default_name(("sh", "-c", "cd /srv && python load.py | tee log")) == "load"
    assert default_name(("su", "bob", "-c", "/srv/load.sh")) == "load"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["python", "manage.py", "a"], ["python", "manage.py", "b"]),
        (["timeout", "9", "a"], ["timeout", "9", "b"]),
        (["python", "-c", "import a"], ["python", "-c", "import b"]),
        (["/srv/\u65e5\u672c.sh"], ["/srv/\u4e2d\u56fd.sh"]),
        (["x" * 70 + "a"], ["x" * 70 + "b"]),
    ],
)
def test_different_jobs_have_different_names(one: list[str], other: list[str]) -> None:
    assert default_name(tuple(one)) != default_name(tuple(other))


@given(st.lists(st.one_of(st.text(), st.sampled_from(["sh", "-c", " ", "sudo", "python", "-m", "env"])), min_size=1))
def test_any_command_has_a_name_that_can_be_one(argv: list[str]) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", default_name(tuple(argv)))
