"""Words for words: nothing of a site is left, and the same word becomes the same one everywhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.model.pseudonym import Pseudonyms

SITE = ("acme", "kunden", "version_history", "db7", "anna", "München", "x9", "orders-api", "GlobalCorp", "naïve")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("python3 version_history.py", ("python3 ", ".py")),
        ("cd /opt/acme && python3 -m acme.jobs --dsn postgresql://anna:***@db7/orders", ("cd /opt/", "://", ":***@")),
        ("/system.slice/orders-api.service", ("/system.slice/", "-api.service")),
        ("SELECT kunde FROM acme.kunden WHERE id = $1 AND x = '***'", ("SELECT ", " FROM ", " WHERE id = $1 AND ")),
        ("gunicorn: worker [acme.app:app]", ("gunicorn: worker [", ".app:app]")),
    ],
)
def test_what_is_public_stays(text: str, kept: tuple[str, ...]) -> None:
    new = Pseudonyms().strict(text)
    for part in kept:
        assert part in new
    assert not re.search("acme|anna|kunde|version_history|orders|db7", new)


def test_a_word_is_the_same_everywhere_and_in_any_case() -> None:
    names = Pseudonyms()
    assert names.strict("Acme", "role") == "role1"
    assert names.strict("/opt/ACME/acme.py") == "/opt/role1/role1.py"
    assert Pseudonyms(prose=["could", "find"]).told("could not find acme") == "could not find name1"
    assert names.replaced == {"role": 1}


def test_known_programs_can_be_public() -> None:
    assert Pseudonyms(["Grafana"]).strict("grafana grafanas") == "grafana name1"


@pytest.mark.parametrize("same", ["127.0.0.1", "::1", "::", "***", "4711", "/dev/shm/x", ""])
def test_what_tells_nothing_stays(same: str) -> None:
    assert Pseudonyms().strict(same) == same


def test_addresses_become_those_of_documents() -> None:
    names = Pseudonyms()
    assert names.strict("10.1.2.3") == "192.0.2.1"
    assert names.strict("[fd00::17]:5432") == "[2001:db8::2]:5432"
    assert names.told("10.1.2.3: no, fd00::17") == "192.0.2.1: no, 2001:db8::2"
    many = {names.strict(f"10.{n >> 8}.{n & 255}.9") for n in range(2000)}
    assert len(many) == 2000
    assert not any(address.startswith("10.") for address in many)


def test_long_numbers_and_ids_keep_their_length() -> None:
    names = Pseudonyms()
    container = "3f" * 32
    new = names.strict(f"docker-{container}.scope 004915112345678")
    assert re.fullmatch(r"docker-[0-9a-f]{64}\.scope \d{15}", new)
    assert container not in new
    assert "15112345678" not in new


def test_what_the_kernel_cut_is_known_again() -> None:
    names = Pseudonyms()
    names.strict("/opt/jobs/nightly_settlement_acme.py")
    assert "nightly" not in names.cut("nightly_settlem", 15)
    assert names.cut("nightly_settlem", 15) == names.strict("nightly_settlement_acme")
    assert names.cut("python3", 15) == "python3"


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("the open files of 14 processes", "the open files of 14 processes"),
        ('FATAL: role "anna" does not exist', 'FATAL: role "name1" does not exist'),
        ("FATAL: Rolle »anna« existiert nicht", "FATAL: Rolle »name1« existiert nicht"),
        ("/etc/acme/jobs.conf: permission denied", "/etc/name1/name2.conf: permission denied"),
        ("user=anna host=/run/postgresql port=5432", "user=name1 host=/run/postgresql port=5432"),
        ("could not reach db7.acme.example", "could not reach name1.name2.name3"),
        ("no such host: acme_db", "no such host: name1"),
    ],
)
def test_a_sentence_keeps_its_words_and_loses_its_names(text: str, new: str) -> None:
    prose = (
        "the open files of processes FATAL role does not exist Rolle existiert nicht permission denied could reach no"
    )
    assert Pseudonyms(prose=[*prose.split(), "such"]).told(text) == new


def test_a_word_of_prose_that_is_a_name_here_is_replaced() -> None:
    names = Pseudonyms(prose=["permission", "denied"])
    names.strict("Permission", "role")
    assert names.told("permission denied to carol") == "role1 denied to name1"


@given(st.lists(st.one_of(st.sampled_from(SITE), st.text(max_size=12), st.sampled_from("/.:-_= '\"@[]$")), max_size=20))
def test_no_text_brings_a_planted_word_through(parts: list[str]) -> None:
    secret = "zqxsecret"
    text = "".join([*parts, " ", secret, " ", *reversed(parts)])
    names = Pseudonyms()
    new = names.strict(text)
    assert secret not in new
    assert names.strict(text) == new
    told = names.told(f'{text} "{secret}" /x/{secret}/y k={secret} a.{secret}.b')
    assert secret not in told


@given(st.text(max_size=3000))
def test_any_text_at_all_takes_little_time(text: str) -> None:
    names = Pseudonyms()
    names.strict(text)
    names.told(text)
    names.cut(text, 15)


@pytest.mark.parametrize(
    "text", ["a-" * 20_000, "1." * 20_000, "f:" * 20_000, '"' * 20_001, "/" * 20_000, "a/" * 20_000]
)
def test_hostile_lengths_end(text: str) -> None:
    names = Pseudonyms()
    names.strict(text)
    names.told(text)
