"""`dataclass`, `field` and `replace`, as the standard library has them, at a fifth of what they cost to import.

A cold command must answer in a quarter of a second, and `dataclasses` took a third of that: it brings `inspect` with
it, and compiles six methods for each of the sixty frozen classes that the command loads, one by one (up to Python
3.12). Here only `__init__` is compiled; the other methods are shared. A value is also filled in half the time, by the
slots themselves.

    from pgusher.model.values import dataclass, field, replace

Fields, `replace`, equality, hash, representation, pickling and the errors are those of `dataclasses`, which checkers
see in its place; what asks a class for its fields (`dataclasses.fields`, `is_dataclass`) gets them, made at that
moment. What inherits from another such class, or wants other options than those used here, is left to `dataclasses`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "field", "replace"]

_MISSING = object()
_KINDS: tuple[dict[str, bool], ...] = (
    {"frozen": True, "slots": True},
    {"slots": True, "eq": False},
    {},
)

if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:

    def dataclass(cls=None, /, **options):
        """As `dataclasses.dataclass`."""

        def make(cls):
            inherits = any("__dataclass_fields__" in vars(base) for base in cls.__mro__[1:])
            if options in _KINDS and not inherits:
                return _quick(cls, **options)
            import dataclasses

            return dataclasses.dataclass(**options)(cls)

        return make if cls is None else make(cls)

    def field(*, default=_MISSING, default_factory=_MISSING, repr=True, compare=True):  # noqa: A002 - the word of dataclasses
        """As `dataclasses.field`, with these four of its words."""
        return _Field(default, default_factory, repr, compare)

    def replace(value, /, **changes):
        """As `dataclasses.replace`."""
        names = getattr(type(value), "__quick__", None)
        if names is None:
            import dataclasses

            return dataclasses.replace(value, **changes)
        return type(value)(**{name: getattr(value, name) for name in names if name not in changes}, **changes)


class _Field:
    """What a class says of one of its fields."""

    __slots__ = ("compare", "default", "default_factory", "name", "repr")

    def __init__(self, default: Any, default_factory: Any, shown: bool, compare: bool) -> None:
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.repr = shown
        self.compare = compare


_UNFIT = _Field(_MISSING, _MISSING, True, True)


class _Later:
    """An attribute of a class that `dataclasses` looks for, made by it when it does."""

    def __init__(self, name: str, fields: list[_Field], frozen: bool) -> None:
        self._name = name
        self._fields = fields
        self._frozen = frozen

    def __get__(self, _value: object, owner: type) -> Any:
        import dataclasses

        cls = next(base for base in owner.__mro__ if base.__dict__.get(self._name) is self)
        body: dict[str, Any] = {"__annotations__": cls.__annotations__, "__module__": cls.__module__}
        for one in self._fields:
            words = {word: getattr(one, word) for word in ("default", "default_factory")}
            known = {word: value for word, value in words.items() if value is not _MISSING}
            body[one.name] = dataclasses.field(repr=one.repr, compare=one.compare, **known)
        plain = type(cls.__name__, (), body)
        twin: Any = dataclasses.dataclass(init=False, repr=False, eq=False, frozen=self._frozen)(plain)
        made = getattr(twin, self._name)
        setattr(cls, self._name, made)
        return made


def _quick(cls: Any, *, frozen: bool = False, slots: bool = False, eq: bool = True) -> Any:
    fields = _fields_of(cls)
    names = tuple(one.name for one in fields)
    body: dict[str, Any] = {"__repr__": _shown([one.name for one in fields if one.repr]), "__quick__": names}
    for attribute in ("__dataclass_fields__", "__dataclass_params__"):
        body[attribute] = _Later(attribute, fields, frozen)
    body["__match_args__"] = names
    if eq:
        compared = [one.name for one in fields if one.compare]
        body["__eq__"], body["__hash__"] = _comparison(operator.attrgetter(*compared), frozen)
    if frozen:
        body |= {"__setattr__": _no_setattr, "__delattr__": _no_delattr}
    if slots:
        body |= {"__slots__": names, "__getstate__": _getstate, "__setstate__": _setstate}
    body = {key: value for key, value in body.items() if cls.__dict__.get(key) is None}  # what the class says stays
    if slots:
        own = {key: value for key, value in cls.__dict__.items() if key not in {*names, "__dict__", "__weakref__"}}
        made = type(cls)(cls.__name__, cls.__bases__, own | body)
        made.__qualname__ = cls.__qualname__
    else:
        made = cls
        for name, value in body.items():
            setattr(made, name, value)
        for one in fields:
            if one.default is not _MISSING:
                setattr(made, one.name, one.default)
            elif one.name in made.__dict__:
                delattr(made, one.name)
    made.__init__ = _init(made, fields, slots)
    return made


def _fields_of(cls: Any) -> list[_Field]:
    fields = []
    for name, kind in cls.__annotations__.items():
        default = cls.__dict__.get(name, _MISSING)
        one = _foreign(default) or (default if isinstance(default, _Field) else _Field(default, _MISSING, True, True))
        if one is _UNFIT or "ClassVar" in str(kind) or "InitVar" in str(kind):
            raise TypeError(f"{cls.__name__}.{name}: this kind of field is for dataclasses.dataclass alone")
        if isinstance(one.default, list | dict | set):
            raise ValueError(f"{cls.__name__}.{name}: a {type(one.default).__name__} needs default_factory")  # noqa: TRY004 - as dataclasses does
        one.name = name
        fields.append(one)
    if not fields:
        raise TypeError(f"{cls.__name__}: it has no field")
    return fields


def _foreign(default: Any) -> _Field | None:
    """A field of the standard library's, when it is one."""
    if type(default).__module__ != "dataclasses":
        return None
    import dataclasses

    if not isinstance(default, dataclasses.Field):
        return None
    if not default.init or default.kw_only is True or default.hash is not None:
        return _UNFIT
    given = (default.default, default.default_factory)
    value, factory = (_MISSING if one is dataclasses.MISSING else one for one in given)
    return _Field(value, factory, default.repr, default.compare)


def _init(cls: Any, fields: list[_Field], slots: bool) -> Any:
    """`__init__`, the only method that must be compiled: it has the fields' names and defaults as its parameters."""
    known: dict[str, Any] = {"_missing": _MISSING}
    parameters, lines = ["self"], []
    for one in fields:
        name = value = one.name
        if one.default_factory is not _MISSING:
            known[f"_new_{name}"] = one.default_factory
            parameters.append(f"{name}=_missing")
            value = f"_new_{name}() if {name} is _missing else {name}"
        elif one.default is not _MISSING:
            known[f"_default_{name}"] = one.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        if slots:
            # The slot's own setter: it is faster than object.__setattr__, and what makes the class frozen is not asked.
            known[f"_set_{name}"] = cls.__dict__[name].__set__
            lines.append(f" _set_{name}(self, {value})")
        else:
            lines.append(f" self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    made: dict[str, Any] = {}
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines), known, made)  # noqa: S102 - names of fields
    init = made["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    init.__annotations__ = dict(cls.__annotations__) | {"return": None}
    return init


def _comparison(values: operator.attrgetter[Any], frozen: bool) -> tuple[Any, Any]:
    def equal(self: object, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def number(self: object) -> int:
        return hash(values(self))

    return equal, number if frozen else None


def _shown(names: list[str]) -> Any:
    def text(self: Any) -> str:
        said = [f"{name}={getattr(self, name)!r}" for name in names]
        return f"{type(self).__qualname__}({', '.join(said)})"

    return text


def _no_setattr(_self: object, name: str, _value: object) -> None:
    import dataclasses

    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_delattr(_self: object, name: str) -> None:
    import dataclasses

    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__slots__]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__slots__, state, strict=True):
        object.__setattr__(self, name, value)
