"""`python -m pgusher`: the same command as `pgusher`."""

from __future__ import annotations

import sys

from pgusher.surfaces.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
