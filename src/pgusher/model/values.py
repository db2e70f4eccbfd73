"""`dataclass`, as the standard library has it, at a fifth of what it costs to import.

A cold command must answer in a quarter of a second, and `dataclasses` took a third of that to make the sixty frozen
classes that it loads: it compiles six methods for each, one by one (up to Python 3.12). Here only `__init__` is
compiled; the other methods are shared. It also fills a value in half the time, by the slots themselves.

    from pgusher.model.values import dataclass

Fields, `replace`, equality, hash, representation, pickling and the errors are those of `dataclasses`, which checkers
see in its place. Whatever is not frozen with slots, or inherits from another such class, is left to it altogether.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, **options):
        """As `dataclasses.dataclass`."""

        def make(cls):
            quick = options == {"frozen": True, "slots": True} and not dataclasses.is_dataclass(cls)
            return _quick(cls) if quick else dataclasses.dataclass(**options)(cls)

        return make if cls is None else make(cls)


def _quick(cls: Any) -> Any:
    cls = dataclasses.dataclass(init=False, repr=False, eq=False)(cls)
    fields = dataclasses.fields(cls)
    if not fields or not all(field.init and not field.kw_only and field.hash is None for field in fields):
        raise TypeError(f"{cls.__name__}: this kind of field is for dataclasses.dataclass alone")
    names = tuple(field.name for field in fields)
    body = {key: value for key, value in cls.__dict__.items() if key not in {*names, "__dict__", "__weakref__"}}
    body |= {"__slots__": names, "__setattr__": _no_setattr, "__delattr__": _no_delattr}
    body |= {"__getstate__": _getstate, "__setstate__": _setstate, "__repr__": _repr}
    compared = [field.name for field in fields if field.compare]
    if compared:
        body["__eq__"], body["__hash__"] = _comparison(operator.attrgetter(*compared))
    made = type(cls)(cls.__name__, cls.__bases__, body)
    made.__qualname__ = cls.__qualname__
    made.__init__ = _init(made, fields)
    return made


def _init(cls: Any, fields: tuple[dataclasses.Field[Any], ...]) -> Any:
    """`__init__`, the only method that must be compiled: it has the fields' names and defaults as its parameters."""
    known: dict[str, Any] = {}
    parameters, lines = ["self"], []
    for field in fields:
        name = field.name
        # The slot's own setter: it is faster than object.__setattr__, and what makes the class frozen is not asked.
        known[f"_set_{name}"] = cls.__dict__[name].__set__
        if field.default_factory is not dataclasses.MISSING:
            known[f"_new_{name}"], known["_missing"] = field.default_factory, dataclasses.MISSING
            parameters.append(f"{name}=_missing")
            lines.append(f" _set_{name}(self, _new_{name}() if {name} is _missing else {name})")
            continue
        if field.default is not dataclasses.MISSING:
            known[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f" _set_{name}(self, {name})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    made: dict[str, Any] = {}
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines), known, made)  # noqa: S102 - names of fields
    init = made["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    init.__annotations__ = {field.name: field.type for field in fields} | {"return": None}
    return init


def _comparison(values: operator.attrgetter[Any]) -> tuple[Any, Any]:
    def equal(self: object, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def number(self: object) -> int:
        return hash(values(self))

    return equal, number


def _repr(self: Any) -> str:
    shown = [f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _no_setattr(_self: object, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_delattr(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__slots__]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__slots__, state, strict=True):
        object.__setattr__(self, name, value)
