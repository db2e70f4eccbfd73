"""The table of known programs: each has a true sample that is recognised and a look-alike that is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.attribute.command import read_command
from pgusher.attribute.names import NAME
from pgusher.attribute.programs import TABLE, Known, ProgramKind, claimed, recognise
from pgusher.attribute.programs.labels import LABELS
from pgusher.model.evidence import Certainty
from tests.attribute.samples import SAMPLES, Sample, sample


def known(text: str) -> Known | None:
    """What a sample is recognised as."""
    seen: Sample = sample(text)
    return recognise(read_command(seen.argv, seen.exe), seen.exe, argv=bool(seen.argv))


def test_every_program_has_samples_and_none_is_without_a_program() -> None:
    assert set(SAMPLES) == {program.id for program in TABLE}
    assert all(true and false for true, false in SAMPLES.values())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_program_is_recognised_by_what_it_really_runs(name: str) -> None:
    for text in SAMPLES[name][0]:
        found = known(text)
        assert found is not None, text
        assert found.program.id == name, text


@pytest.mark.parametrize("name", SAMPLES)
def test_what_only_looks_like_it_is_not_taken_for_it(name: str) -> None:
    for text in SAMPLES[name][1]:
        found = known(text)
        assert found is None or found.program.id != name, text


def test_the_table_is_whole() -> None:
    ids = [program.id for program in TABLE]
    assert len(ids) == len(set(ids))
    for program in TABLE:
        assert NAME.fullmatch(program.id), program.id
        assert "/" not in program.id
        assert program.limit, program.id
        assert program.name, program.id
        assert not program.label or program.label in LABELS, program.id
        seen = program.exe, program.script, program.module, program.title, program.jar, program.path, program.app
        assert any(seen), program.id


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (
            "/usr/bin/python3 /usr/bin/gunicorn -w 4 -k uvicorn.workers.UvicornWorker -b 0.0.0.0:80 orders.wsgi:app",
            "orders",
        ),
        ("/usr/bin/python3 /usr/bin/gunicorn -c conf.py", ""),
        ("[gunicorn: master [orders:app]]", "orders"),
        ("python /v/bin/uvicorn app.main:app --host 0.0.0.0", "app.main"),
        ("python /v/bin/uvicorn --factory app.main:create_app(x)", "app.main"),
        ("python /v/bin/celery -A shop worker", "shop"),
        ("python /v/bin/celery --app=shop.celery:app beat", "shop.celery:beat"),
        ("python /v/bin/celery -Ashop worker", "shop"),
        ("[[celeryd: celery@h:MainProcess] -active- (worker -A shop)]", "shop"),
        ("[[celery beat] (beat -A shop)]", "shop:beat"),
        ("python /v/bin/airflow scheduler", "scheduler"),
        ("[airflow scheduler -- DagFileProcessorManager]", "scheduler"),
        ("[gunicorn: worker [airflow-webserver]]", "webserver"),
        ("[puma 6.4.0 (tcp://0.0.0.0:3000) [shop]]", "shop"),
        ("[puma 6.4.0 (tcp://0.0.0.0:3000)]", ""),
        ("[sidekiq 7.2.0 shop [0 of 5 busy]]", "shop"),
        ("[sidekiq 7.2.0 [0 of 5 busy]]", ""),
        ("[php-fpm: pool www]", "www"),
        ("[php-fpm: master process (/etc/php-fpm.conf)]", ""),
        ("python manage.py runserver", "runserver"),
        ("[postgres: walreceiver streaming 0/3000148]", "walreceiver"),
        ("[postgres: bob shop [local] idle]", ""),
        ("runsv /etc/service/orders/", "orders"),
    ],
)
def test_instances_are_told_apart(text: str, label: str) -> None:
    found = known(text)
    assert found is not None
    assert found.label == label


@pytest.mark.parametrize(
    ("text", "certainty"),
    [
        ("psql @ /usr/lib/postgresql/15/bin/psql", Certainty.PROVEN),
        ("psql", Certainty.LIKELY),
        ("python /v/bin/gunicorn x:y @ /usr/bin/python3.11", Certainty.LIKELY),
    ],
)
def test_how_sure_a_program_is(text: str, certainty: Certainty) -> None:
    found = known(text)
    assert found is not None
    assert found.certainty is certainty


def test_a_short_name_alone_is_a_guess() -> None:
    found = recognise(read_command([], None, "gpx_grafana_pos"), None, "gpx_grafana_pos", argv=False)
    assert found is not None
    assert (found.program.id, found.certainty) == ("grafana", Certainty.GUESSED)


@pytest.mark.parametrize(
    ("said", "program"),
    [
        ("psql", "psql"),
        ("PSQL", "psql"),
        ("psql-web", "psql"),
        ("psql_web", None),
        ("psqlodbc", None),
        ("pgAdmin 4 - DB:shop", "pgadmin"),
        ("DBeaver 24.1 - Main", "dbeaver"),
        ("Metabase v0.50 [x]", "metabase"),
        ("grafana:prod", "grafana"),
        ("pg_dumpall", "pg_dumpall"),
        ("odoo-1234", "odoo"),
        ("web", None),
        ("", None),
    ],
)
def test_what_an_application_name_says_it_is(said: str, program: str | None) -> None:
    found = claimed(said)
    assert (found.id if found else None) == program


def test_only_owners_own_and_only_relays_relay() -> None:
    assert ProgramKind.WEB.owns
    assert not ProgramKind.SHELL.owns
    assert not ProgramKind.SUPERVISOR.owns
    assert ProgramKind.POOLER.relays
    assert not ProgramKind.WEB.relays


WORDS = st.sampled_from(
    ["python", "gunicorn", "-m", "celery", "java", "-jar", "metabase.jar", "psql", "[", "]", ":", "-A", "(", ""]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=20)), max_size=8), st.one_of(st.none(), st.text(max_size=30)))
def test_any_command_line_is_recognised_or_not(argv: list[str], exe: str | None) -> None:
    found = recognise(read_command(argv, exe, "x"), exe, "x", argv=bool(argv))
    assert found is None or found.program in TABLE


@given(st.sampled_from([start for p in TABLE for start in p.title]), st.text(max_size=80))
def test_any_title_is_recognised_or_not(start: str, rest: str) -> None:
    recognise(read_command([start + rest]))


@given(st.text(max_size=80))
def test_any_application_name_is_read(said: str) -> None:
    claimed(said)
