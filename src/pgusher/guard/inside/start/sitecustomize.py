"""Runs at the start of every Python of a guarded job, from 2.7 on: no line may stand here that one of them cannot read.

It steps aside at once: its directory leaves sys.path, and the sitecustomize that would have run without it runs.
"""

import os
import sys


def _begin():  # type: ignore[no-untyped-def]
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.version_info >= (3, 8) and os.environ.get("PGUSHER_INSIDE"):
        try:
            import pgusher_watch  # type: ignore[import-not-found] # it lies beside this file

            pgusher_watch.begin(os.environ["PGUSHER_INSIDE"])
        except Exception:  # noqa: BLE001, S110 - a guard that cannot watch is told by the guard; the job goes on as without it
            pass
    for path in [path for path in sys.path if path == here]:
        sys.path.remove(path)
    sys.path_importer_cache.pop(here, None)


_begin()  # type: ignore[no-untyped-call]
_own = sys.modules.pop(__name__, None)
try:
    import sitecustomize  # type: ignore[import-not-found] # noqa: F401 - the next one; what it raises is shown as if there were no other
except ImportError as error:
    # As site.py does: that there is none is no error, that it lacks something is. Python 2 names no module.
    if getattr(error, "name", None) not in (None, "sitecustomize") or __name__ in sys.modules:
        raise
    sys.modules[__name__] = _own  # type: ignore[assignment]
