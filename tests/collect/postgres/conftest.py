"""Fixtures of this directory."""

from __future__ import annotations

import pytest

from tests.collect.postgres.common import Clock


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until the test moves it."""
    return Clock()
