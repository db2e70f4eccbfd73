"""Provisioning files of data sources: YAML, with the line of each thing that a person may have to change.

Read by PyYAML's own nodes, which know their lines, where it is installed (`pip install 'pgusher[grafana]'`); else by
the form of the few lines that matter, and what is written otherwise is then not seen. No tag of YAML makes an object,
and no alias is followed more than once. Secrets are not kept. Source: "Provision Grafana", data sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pgusher.model.text import clean
from pgusher.model.values import dataclass, field

KEYS = ("name", "type", "uid", "url", "user", "database", "orgId", "editable")
INSIDE = ("database", "maxOpenConns", "maxIdleConns", "connMaxLifetime")
_MOST = 2000
_DEEP = 8
_INTEGER = re.compile(r"[-+]?[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One data source of a file."""

    told: dict[str, Any]
    """In the words of the API, with `jsonData` of the keys that matter."""
    line: int
    """From 1: where it begins."""
    lines: dict[str, int] = field(default_factory=dict)
    """Of the keys inside jsonData, and of "jsonData" itself."""
    indent: int = 4
    """Blanks before the keys of jsonData, or what they would have."""


class YamlError(Exception):
    """The file is no YAML that can be read. `str(error)` tells the place."""


def has_yaml() -> bool:
    """Whether PyYAML is there."""
    try:
        import yaml  # noqa: F401 - only whether it can be
    except ImportError:
        return False
    return True


def read(content: str) -> list[Entry]:
    """The data sources of a file. Raises YamlError; without PyYAML never."""
    return list(_by_nodes(content) if has_yaml() else by_form(content))[:_MOST]


def _by_nodes(content: str) -> Iterator[Entry]:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(content, loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f"line {mark.line + 1}: " if mark is not None else ""
        raise YamlError(clean(f"{place}{getattr(error, 'problem', None) or 'no YAML'}")[:200]) from None
    except (RecursionError, ValueError):
        raise YamlError("it is nested too deep, or no text") from None
    listed = _pairs(root).get("datasources")
    if listed is None or not isinstance(listed[1], yaml.SequenceNode):
        return
    for node in listed[1].value:
        pairs = _pairs(node)
        if not pairs:
            continue
        told: dict[str, Any] = {key: _scalar(pairs[key][1]) for key in KEYS if key in pairs}
        inside = _pairs(pairs["jsonData"][1]) if "jsonData" in pairs else {}
        told["jsonData"] = {key: _scalar(inside[key][1]) for key in INSIDE if key in inside}
        lines = {key: inside[key][0].start_mark.line + 1 for key in INSIDE if key in inside}
        indent = next(iter(inside.values()))[0].start_mark.column if inside else node.start_mark.column + 2
        if "jsonData" in pairs:
            lines["jsonData"] = pairs["jsonData"][0].start_mark.line + 1
            indent = indent if inside else pairs["jsonData"][0].start_mark.column + 2
        yield Entry(told, node.start_mark.line + 1, lines, indent)


def _pairs(node: Any, deep: int = 0) -> dict[str, tuple[Any, Any]]:
    """Key and value nodes of a mapping by the key's text; what `<<` brings stands below what is said itself."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return {}
    found: dict[str, tuple[Any, Any]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if key.value == "<<" and deep < _DEEP:
            several = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for one in several[:_DEEP]:
                found = _pairs(one, deep + 1) | found
        else:
            found[key.value] = (key, value)
    return found


def _scalar(node: Any) -> object:
    """The value of a plain node: text, number or truth value; None for what is none of these."""
    tag = node.tag.rpartition(":")[2]
    if not isinstance(node.value, str):
        return None
    if tag == "int" and _INTEGER.fullmatch(node.value):
        return int(node.value)
    if tag == "bool":
        return node.value.lower() in ("true", "yes", "on", "y")
    return None if tag == "null" else node.value


def by_form(content: str) -> Iterator[Entry]:
    """The same by the form of the lines: a list item with `key: value` below each other, as nearly all are written."""
    told: dict[str, Any] | None = None
    lines: dict[str, int] = {}
    begun, depth, outer, indent, active = 0, -1, -1, 4, False

    def entry() -> Iterator[Entry]:
        if told is not None:
            yield Entry({**told, "jsonData": told.get("jsonData", {})}, begun, dict(lines), indent)

    for number, line in enumerate(content.splitlines(), 1):
        match = re.match(r"( *)(- +)?([\w<]+):(?:\s+(.*?))?\s*(?:\s#.*)?$", line)
        if match is None:
            continue
        blanks, dash, key, value = match.groups()
        at = len(blanks)
        if dash is None and at <= max(depth - 1, 0) and (depth < 0 or at < depth or not active):
            yield from entry()
            told, lines, depth = None, {}, -1
            active = key == "datasources" and at == 0
            continue
        if active and dash is not None and (depth < 0 or at <= depth):
            yield from entry()
            told, lines, begun, depth, outer = {"jsonData": {}}, {}, number, at, -1
            at += len(dash)
        if told is None:
            continue
        inner = depth + len(dash or "- ") if dash else at
        if key == "jsonData" and not value:
            outer, lines["jsonData"], indent = inner, number, inner + 2
        elif outer >= 0 and inner > outer:
            if key in INSIDE:
                told["jsonData"].setdefault(key, _plain(value))
                lines.setdefault(key, number)
                indent = inner
        else:
            outer = -1 if inner <= outer else outer
            if key in KEYS:
                told.setdefault(key, _plain(value))
    yield from entry()


def _plain(value: str | None) -> object:
    value = (value or "").strip()
    if value[:1] in "\"'" and value[-1:] == value[:1] and len(value) > 1:
        return value[1:-1]
    if _INTEGER.fullmatch(value):
        return int(value)
    return {"true": True, "false": False, "": None, "null": None, "~": None}.get(value.lower(), value)
