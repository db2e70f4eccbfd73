"""What `pgusher run` calls a job."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.attribute.guarded import default_name, names_in


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


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("pgusher run -- python report.py --daily", ["report"]),
        ("/opt/bin/pgusher run -v -t 9m --name=load -- x", ["load"]),
        ("cd /x && pgusher run -n a -- x; 'pgusher' run --timeout 1h --idle-kill python -u b.py", ["a", "b"]),
        ("bash -lc 'pgusher run --name in -- x'", ["in"]),
        ("pgusher run", ["job"]),
        ("python report.py", []),
    ],
)
def test_the_names_that_a_crontab_line_uses(line: str, names: list[str]) -> None:
    assert names_in(line) == names


@given(st.text())
def test_any_line_is_read(text: str) -> None:
    names_in(text)
    names_in(f"pgusher run {text}")
