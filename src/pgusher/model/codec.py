"""Frozen values to JSON and back, strictly: a snapshot file may come from a stranger.

`load` takes nothing on trust: every key is known, every value has the declared type, and what is wrong is told
with its place ("facts.sessions[3].pid: expected an integer, got 'x'"). Standard library only.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from pgusher.errors import SnapshotError

T = TypeVar("T")


def dump(value: object) -> Any:
    """A value of the model as what `json.dumps` takes. Fields with their default value are left out."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {f.name: dump(v) for f, v in pairs if f.default is dataclasses.MISSING or v != f.default}
    if isinstance(value, tuple | list):
        return [dump(v) for v in value]
    return value


def load(kind: type[T], data: object, place: str = "snapshot") -> T:
    """The value of type `kind` that `dump` made `data` of.

    Raises SnapshotError, which names the place, when anything does not fit.
    """
    result = _load(kind, data, place)
    return typing.cast("T", result)


@cache
def _fields(kind: type) -> Mapping[str, tuple[Any, bool]]:
    hints = typing.get_type_hints(kind)
    return {f.name: (hints[f.name], f.default is dataclasses.MISSING) for f in dataclasses.fields(kind)}


def _load(kind: Any, data: object, place: str) -> object:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        if data is None:
            return None
        (inner,) = (a for a in typing.get_args(kind) if a is not types.NoneType)
        return _load(inner, data, place)
    if origin is tuple:
        if not isinstance(data, list):
            raise _wrong(place, "a list", data)
        inner = typing.get_args(kind)[0]
        return tuple(_load(inner, item, f"{place}[{i}]") for i, item in enumerate(data))
    if dataclasses.is_dataclass(kind):
        return _load_object(typing.cast("type", kind), data, place)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError:
            known = ", ".join(str(m.value) for m in kind)
            raise _wrong(place, f"one of {known}", data) from None
    # bool is an int to Python, but not to us: a pid of `true` is a broken file.
    if isinstance(kind, type) and type(data) is kind:
        return data
    raise _wrong(place, _NAMES.get(kind, str(kind)), data)


def _load_object(kind: type, data: object, place: str) -> object:
    if not isinstance(data, dict):
        raise _wrong(place, "an object", data)
    fields = _fields(kind)
    for key in data:
        if key not in fields:
            shown = repr(str(key)[:40])
            raise SnapshotError(
                f"{place}: unknown key {shown}", hint="it may come from a newer pgusher: upgrade this one"
            )
    values = {}
    for name, (inner, required) in fields.items():
        if name in data:
            values[name] = _load(inner, data[name], f"{place}.{name}")
        elif required:
            raise SnapshotError(f"{place}: the key {name!r} is missing")
    return kind(**values)


_NAMES = {int: "an integer", str: "a string", bool: "true or false", float: "a number"}


def _wrong(place: str, expected: str, data: object) -> SnapshotError:
    # Only plain values are shown: the repr of a hostile file's nested lists would overflow the stack.
    shown = "a list" if isinstance(data, list) else "an object" if isinstance(data, dict) else repr(data)[:60]
    return SnapshotError(f"{place}: expected {expected}, got {shown}")
