"""The tree speaks of the project alone: it works on any machine, so it names no place of one."""

from __future__ import annotations

import re
from pathlib import Path

# Written so that this file does not hold them itself.
PLACES = re.compile(
    "|".join(
        [
            r"(?<![\w.])/wor" + r"k/",
            r"(?<![\w.])/tmp/" + r"w\b",
            r"pyp" + r"i\.org",
            r"python" + r"hosted\.org",
            r"npm" + r"js\.(?:org|com)",
            r"deb\.debian" + r"\.org",
        ]
    )
)


def places(path: Path) -> list[str]:
    """Each line that names a directory of one machine or the host of a package index, with its place."""
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    return [f"{path.name}:{number}: {line.strip()[:80]}" for number, line in enumerate(lines, 1) if PLACES.search(line)]


def test_no_file_names_a_place_of_one_machine(repository_files: list[Path]) -> None:
    assert [place for path in repository_files for place in places(path)] == []


def test_a_file_that_names_one_is_told(tmp_path: Path) -> None:
    sample = tmp_path / "sample.md"
    sample.write_text("cd /wor" + "k/main\nsee /home/network/x and work/x\npython /tmp/" + "w/x.py\n/tmp/watch\n")
    assert [place.split(":")[1] for place in places(sample)] == ["1", "3"]
