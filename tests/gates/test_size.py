"""No module over 400 lines, so that each can be read in one go."""

from __future__ import annotations

from pathlib import Path

CEILING = 400


def too_long(tree: Path) -> list[str]:
    """The modules under `tree` with more lines that are not blank than the ceiling, each with its figure."""
    counts = {
        path: sum(1 for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
        for path in sorted(tree.rglob("*.py"))
    }
    assert counts, f"no module under {tree}"
    return [f"{path.relative_to(tree)}: {count} lines" for path, count in counts.items() if count > CEILING]


def test_no_module_is_over_the_ceiling(root: Path) -> None:
    assert too_long(root / "src") == []


def test_401_lines_are_told_and_400_and_blank_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "long.py").write_text("x = 1\n" * 401)
    (tmp_path / "just.py").write_text("x = 1\n\n" * 400)
    assert too_long(tmp_path) == ["inner/long.py: 401 lines"]
