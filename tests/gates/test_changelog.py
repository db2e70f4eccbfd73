"""Every fragment of the changelog has the form that changelog.d/README.md asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

NAME = re.compile(r"[1-9]\d*\.[a-z0-9][a-z0-9-]*\.(?:added|changed|fixed)\.md")


def wrong(fragment: Path) -> str | None:
    """What is wrong with a fragment, or None."""
    if not NAME.fullmatch(fragment.name):
        return f"{fragment.name}: the name is not <issue>.<name>.<added|changed|fixed>.md"
    text = fragment.read_text(encoding="utf-8")
    if not re.fullmatch(r"(?:[A-Z`]|pgusher ).*\.\n", text):
        return f"{fragment.name}: not one line from a capital, a ` or pgusher to a full stop"
    return None


def fragments(root: Path) -> list[Path]:
    """Everything in changelog.d but its README."""
    return sorted(path for path in (root / "changelog.d").iterdir() if path.name != "README.md")


def test_every_fragment_is_well_formed(root: Path) -> None:
    assert [wrong(path) for path in fragments(root) if wrong(path)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("2.sockets.feature.md", "Good.\n"),
        ("sockets.added.md", "Good.\n"),
        ("2.Sockets.added.md", "Good.\n"),
        ("2.sockets.added.txt", "Good.\n"),
        ("2.sockets.added.md", ""),
        ("2.sockets.added.md", "No full stop\n"),
        ("2.sockets.added.md", "no capital.\n"),
        ("2.sockets.added.md", "Two.\nLines.\n"),
        ("2.sockets.added.md", "No end of line."),
    ],
)
def test_a_malformed_fragment_is_told(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "changelog.d").mkdir()
    (tmp_path / "changelog.d" / name).write_text(text)
    (fragment,) = fragments(tmp_path)
    assert wrong(fragment)


@pytest.mark.parametrize("text", ["A sentence.\n", "`pgusher who` names both.\n", "pgusher looks.\n"])
def test_a_good_fragment_is_not(tmp_path: Path, text: str) -> None:
    fragment = tmp_path / "12.both-holders.fixed.md"
    fragment.write_text(text)
    assert wrong(fragment) is None
