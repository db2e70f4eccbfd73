"""The bed says the truth: against the server's own view, and against /proc."""

from __future__ import annotations

import pytest

from tests.bed import Bed, each_version
from tests.bed.checks import agrees_with_proc, agrees_with_server

pytestmark = each_version


@pytest.mark.parametrize("state", ["never", "idle", "idle_in_transaction", "aborted", "active", "lock"])
def test_each_state_is_as_told(bed: Bed, state: str) -> None:
    with bed.holder(state, sessions=2) as holder:
        agrees_with_server(bed, holder.truth)
        agrees_with_proc(holder.truth)
