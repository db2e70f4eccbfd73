"""Run pytest on all cores; what fails there is run once more, alone. Standard library only, but for pytest itself.

The tests start servers, jobs and browsers, several at a time, and a busy machine is sometimes later than a test waits.
A defect fails both times. A test that fails beside others and holds alone is printed by name at the very end, for it
waits too short or leans on something that is shared: it is to be repaired, but it says nothing against the change.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

MOST = 5
"""Of more failures than this no second run is made: they are no accident, and would take long one after the other."""
FAILED = 1
"""pytest's exit status when tests ran and some failed (pytest.ExitCode.TESTS_FAILED)."""


def failed(cache: str) -> list[str]:
    """The tests that pytest noted there as failed; none when it left no note."""
    try:
        with open(os.path.join(cache, "v", "cache", "lastfailed"), encoding="utf-8") as file:
            return sorted(json.load(file))
    except (OSError, ValueError):
        return []


def main(args: Sequence[str]) -> int:
    """Run them; pytest's exit status, of the second run when there was one."""
    # Notes of its own: those of an earlier run, or of one beside this, name tests that this one may not run.
    with tempfile.TemporaryDirectory(prefix="pytest-cache-") as cache:
        pytest = [sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}"]
        status = subprocess.call([*pytest, "-n", "auto", "--dist", "loadfile", *args])
        names = failed(cache)
        if status != FAILED or not 0 < len(names) <= MOST:
            return status
        print(f"\n== failed beside others, now once more alone: {len(names)}", flush=True)
        # Without args: they may choose other tests. A name that is a file failed to be collected, and is run whole.
        status = subprocess.call([*pytest, "-p", "no:xdist", *names])
    if status == 0:
        print("\n== these failed beside others and hold alone; each waits too short, or leans on something shared:")
        print("\n".join(f"   {name}" for name in names), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
