"""A translated server refuses in its own words, with the same SQLSTATE."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pgusher.demo.keep import Keeper
from pgusher.demo.server import EmbeddedServer
from tests.bed import Bed
from tests.bed.languages import settings, translated, why_not


@pytest.mark.skipif(bool(why_not("de_DE")), reason=why_not("de_DE") or "there is one")
def test_german(new_server: Callable[..., EmbeddedServer]) -> None:
    found = translated("de")
    assert found is not None
    with Keeper(directory_in="/dev/shm") as keeper:
        server = new_server(found, max_connections=8, **settings("de_DE", keeper.directory))
        bed = Bed(server)
        try:
            ordinary, rest = bed.fill(), bed.fill("postgres")
            assert "FATAL" in ordinary.truth.refusal
            assert "verbleibenden" in ordinary.truth.refusal
            assert "zu viele Verbindungen" in rest.truth.refusal
            with bed.unfinished(1) as refused:
                assert "C53300" in refused.truth.refusal
        finally:
            bed.close()
