from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgusher.client.label import LIMIT, label, program


def test_it_names_the_service_the_host_and_the_process() -> None:
    assert label("orders-api", host="web1.example.org", pid=4711) == "orders-api web1 4711"


def test_what_is_too_long_loses_its_middle_and_never_the_process() -> None:
    made = label("s" * 50 + "-nightly", host="h" * 60, pid=4194304)
    assert len(made) == LIMIT
    assert made.endswith(" 4194304")
    assert made.startswith("sss")
    assert "-nightly h" in made
    assert made.count("~") == 2


@given(st.text(), st.text(), st.integers(1, 2**22))
def test_any_name_fits_and_can_be_shown(service: str, host: str, pid: int) -> None:
    made = label(service, host=host, pid=pid)
    assert len(made.encode("ascii")) <= LIMIT
    assert made.isprintable()
    assert made.split()[-1] == str(pid)


def test_the_environment_names_it_first() -> None:
    argv = ["python3", "/srv/report.py"]
    assert program({"PGUSHER_SERVICE": "a", "PGUSHER_JOB": "b"}, argv) == "a"
    assert program({"PGUSHER_SERVICE": "", "PGUSHER_JOB": "b"}, argv) == "b"
    assert program({}, argv) == "report"


def test_the_command_line_names_it_else() -> None:
    assert program({}, ["python3", "-X", "dev", "-u", "report.py", "--all"]) == "report"
    assert program({}, ["python3", "-m", "shop.jobs"]) == "shop.jobs"
    assert program({}, ["python3", "-c", "import x"]) == "python-c"
    assert program({}, ["python3", "/venv/bin/gunicorn", "-w", "4"]) == "gunicorn"
    assert program({}, ["python3"]) == "python"
    assert program({}, []) == "python"
    assert program({}, ["python3", "-"]) == "-"
