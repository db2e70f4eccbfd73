"""The test bed: real servers, and real processes that hold their slots and tell the truth about it.

    def test_it(bed):
        with bed.holder("idle", sessions=5) as holder:
            holder.truth.sessions  # what attribution has to find

Fixtures are in tests/conftest.py: `server` (one a file; a file's `SERVER_SETTINGS` go into its postgresql.conf), `bed`,
`new_server`; `each_version` runs a test or a file on every version of PostgreSQL that pgusher supports.
"""

from __future__ import annotations

from tests.bed.bed import Bed
from tests.bed.holder import Holder
from tests.bed.requirements import each_version, needs_ipv6, needs_root
from tests.bed.truth import TrueProcess, TrueSession, Truth

__all__ = ["Bed", "Holder", "TrueProcess", "TrueSession", "Truth", "each_version", "needs_ipv6", "needs_root"]
