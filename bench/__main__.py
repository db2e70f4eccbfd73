"""All measurements of docs/benchmarks.md, one after the other: python -m bench [--quick] [NAME ...]."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = (
    "command",
    "why",
    "free",
    "attribution",
    "steady",
    "serve",
    "server_cost",
    "collect_host",
    "attribute_pure",
    "pool",
    "act",
    "record",
    "panels",
    "run",
)


def main() -> int:
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")] or list(NAMES)
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    failed = []
    for name in wanted:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, str(HERE / f"{name}.py"), *options], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
