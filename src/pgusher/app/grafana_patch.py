"""The change of a provisioning file, as a patch: only the lines that change, as those beside them may be secrets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pgusher.collect import rooted
from pgusher.collect.grafana import provisioning
from pgusher.model.grafana import DataSource, Grafana
from pgusher.model.grafana_limits import OPEN
from pgusher.model.text import decode
from pgusher.model.values import dataclass

_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Patch:
    """What to change where."""

    file: str | None
    """As Grafana sees it; None when it is not known."""
    diff: str
    """As `patch` takes it; "" when it cannot be told by lines."""
    text: str
    """The same in words."""


def patch(grafana: Grafana, source: DataSource, most: int | None, proc: str = "/proc") -> Patch:
    """The change that gives a data source that limit. Raises nothing: what cannot be told by lines is told in words."""
    file = source.place.file if source.place is not None else None
    value = f"maxOpenConns: {most}" if most is not None else "no maxOpenConns"
    text = f"in jsonData of data source {source.name}: {value}"
    if file is None or not grafana.processes:
        return Patch(file, "", f"{text}; its provisioning file was not found")
    try:
        content = decode(rooted.read_file(f"{proc}/{grafana.processes[0]}/root", file, _BYTES))
        diff = diff_of(content, source, most, file)
    except (OSError, provisioning.YamlError):
        diff = None
    return Patch(file, diff or "", f"{text}, in {file}")


def diff_of(content: str, source: DataSource, most: int | None, file: str) -> str | None:
    """A unified diff without context; None when the lines are not written in a way that can be changed by lines.

    The result is read again: it must differ in this one limit and in nothing else.
    """
    lines = content.splitlines(keepends=True)
    before = provisioning.read(content)
    mine = next((one for one in before if source.place is not None and one.line == source.place.line), None)
    if mine is None:
        return None
    change = _change(lines, mine, most)
    if change is None:
        return None
    at, old, new = change
    changed = lines[: at - 1] + new + lines[at - 1 + len(old) :]
    if not _is_meant(before, provisioning.read("".join(changed)), mine, most):
        return None
    first = at if old else at - 1
    head = f"--- {file}\n+++ {file}\n@@ -{first},{len(old)} +{at if new else at - 1},{len(new)} @@\n"
    return head + "".join(f"-{_ended(line)}" for line in old) + "".join(f"+{_ended(line)}" for line in new)


def _change(lines: list[str], mine: provisioning.Entry, most: int | None) -> tuple[int, list[str], list[str]] | None:
    """The line from which on, the lines that go, and those that come."""
    at = mine.lines.get(OPEN)
    if at is not None:
        match = re.fullmatch(r"(\s*maxOpenConns:[ \t]*)([^\s#]+)([ \t]*(?:#.*)?\r?\n?)", lines[at - 1])
        if match is None:
            return None
        return at, [lines[at - 1]], [f"{match[1]}{most}{match[3]}"] if most is not None else []
    if most is None:
        return None
    inside = mine.lines.get("jsonData")
    if inside is not None:
        if not re.fullmatch(r"[\s-]*jsonData:[ \t]*(?:#.*)?\r?\n?", lines[inside - 1]):
            return None
        return inside + 1, [], [f"{' ' * mine.indent}maxOpenConns: {most}\n"]
    first = lines[mine.line - 1]
    blanks = len(first) - len(first.lstrip(" -"))
    return mine.line + 1, [], [f"{' ' * blanks}jsonData:\n", f"{' ' * (blanks + 2)}maxOpenConns: {most}\n"]


def _is_meant(
    before: Sequence[provisioning.Entry],
    after: Sequence[provisioning.Entry],
    mine: provisioning.Entry,
    most: int | None,
) -> bool:
    wanted = []
    for one in before:
        told = {**one.told, "jsonData": dict(one.told["jsonData"])}
        if one is mine:
            told["jsonData"].pop(OPEN, None)
            if most is not None:
                told["jsonData"][OPEN] = most
        wanted.append(told)
    return [one.told for one in after] == wanted


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
