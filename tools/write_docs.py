"""Write what follows from the commands' declarations: completion scripts, manual page, docs/commands.md.

write_docs.py          write what is stale
write_docs.py --check  write nothing; exit code 1, and the names, when anything is stale
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import completions
from commands_page import commands_page
from man_page import man_page

ROOT = Path(__file__).resolve().parent.parent


def generated(root: Path = ROOT) -> dict[Path, str]:
    """Each generated file and what it must hold."""
    data = root / "src/pgusher/surfaces/cli/data"
    return {
        data / "pgusher.bash": completions.bash(),
        data / "_pgusher": completions.zsh(),
        data / "pgusher.fish": completions.fish(),
        data / "pgusher.1": man_page(),
        root / "docs/commands.md": commands_page(root / "tests/surfaces/golden"),
    }


def stale(root: Path = ROOT) -> list[Path]:
    """The files that do not hold what they must."""
    return [
        path for path, text in generated(root).items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]


def main(words: Sequence[str]) -> int:
    """Runs the tool and gives its exit code."""
    old = stale()
    for path in old:
        print(path.relative_to(ROOT))
    if "--check" in words:
        return int(bool(old))
    for path in old:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(generated()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
