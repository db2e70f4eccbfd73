"""Prints the table: python -m tests.incidents [--worlds]."""

from __future__ import annotations

import os
import sys

from pgusher.demo.account import server_account
from pgusher.demo.cache import ENVIRONMENT, Cache
from tests.incidents import grafana, real, recorded, scripts, threads, worlds
from tests.incidents.table import confusion, judged, rows, sums


def main(words: list[str]) -> int:
    """Stages them all, one after the other, and prints what came of it; 1 when something is wrong."""
    written = (worlds, recorded, grafana)
    chosen = [incident for one in written for incident in (*one.INCIDENTS, *one.HEALTHY)]
    cache = None
    if "--worlds" not in words:
        staged = (scripts, threads, real)
        sick = [incident for module in staged for incident in module.INCIDENTS]
        chosen = [*sick, *chosen, *(incident for module in staged for incident in module.HEALTHY)]
        cache = Cache()
        os.environ[ENVIRONMENT] = cache.directory(server_account())
    try:
        verdicts = judged(chosen)
    finally:
        if cache is not None:
            cache.close()
    for block in (rows(verdicts), confusion(verdicts), sums(verdicts, chosen)):
        sys.stdout.write("\n".join(block) + "\n\n")
    return int(not all(verdict.right and not verdict.wrongly_proven for verdict in verdicts))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
