"""The quick dataclass is told from the standard library's by nothing but its speed."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from dataclasses import field
from typing import Any

import pytest

from pgusher.model import values
from pgusher.model.session import Session


@values.dataclass(frozen=True, slots=True)
class Quick:
    """A class of every kind of field."""

    pid: int
    name: str | None = None
    tags: tuple[str, ...] = ()
    secret: str = field(default="x", repr=False)
    noise: int = field(default=0, compare=False)
    made: list[int] = field(default_factory=list, compare=False)

    @property
    def twice(self) -> int:
        """A method of its own."""
        return self.pid * 2


@dataclasses.dataclass(frozen=True, slots=True)
class Plain:
    """The same, by the standard library."""

    pid: int
    name: str | None = None
    tags: tuple[str, ...] = ()
    secret: str = field(default="x", repr=False)
    noise: int = field(default=0, compare=False)
    made: list[int] = field(default_factory=list, compare=False)


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {}),
    ((1, "a", ("b",)), {}),
    ((), {"pid": 1, "noise": 7, "secret": "y"}),
    ((1,), {"made": [3]}),
]


@pytest.mark.parametrize(("words", "more"), CALLS)
def test_values_are_the_same(words: tuple[Any, ...], more: dict[str, Any]) -> None:
    quick, plain = Quick(*words, **more), Plain(*words, **more)
    assert dataclasses.asdict(quick) == dataclasses.asdict(plain)
    assert repr(quick) == repr(plain).replace("Plain", "Quick")
    assert hash(quick) == hash(plain)
    assert quick == Quick(*words, **more)
    assert quick.__eq__(plain) is NotImplemented
    assert dataclasses.replace(quick, pid=5).twice == 10
    for again in (copy.copy(quick), copy.deepcopy(quick), pickle.loads(pickle.dumps(quick))):  # noqa: S301 - our own
        assert again == quick
        assert again.noise == quick.noise


def test_what_is_not_compared_does_not_count() -> None:
    assert Quick(1, noise=1) == Quick(1, noise=2)
    assert Quick(1) != Quick(2)
    assert Quick(1).__eq__(1) is NotImplemented


def test_each_gets_a_list_of_its_own() -> None:
    assert Quick(1).made is not Quick(1).made


@pytest.mark.parametrize(("words", "more"), [((), {}), ((1, 2, 3, 4, 5, 6, 7), {}), ((1,), {"none": 1})])
def test_a_wrong_call_is_a_type_error(words: tuple[Any, ...], more: dict[str, Any]) -> None:
    for kind in (Quick, Plain):
        with pytest.raises(TypeError):
            kind(*words, **more)


def test_nothing_can_be_set_or_deleted_or_added() -> None:
    for value in (Quick(1), Plain(1)):
        for name in ("pid", "other"):
            with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
                setattr(value, name, 1)
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            del value.pid
        assert not hasattr(value, "__dict__")


def test_it_is_a_dataclass_like_any_other() -> None:
    assert dataclasses.is_dataclass(Quick)
    assert [f.name for f in dataclasses.fields(Quick)] == [f.name for f in dataclasses.fields(Plain)]
    assert Quick.__match_args__ == Plain.__match_args__
    assert list(inspect.signature(Quick).parameters) == list(inspect.signature(Plain).parameters)
    assert Quick.__slots__ == Plain.__slots__
    assert (Quick.__name__, Quick.__module__, Quick.__doc__) == ("Quick", __name__, "A class of every kind of field.")


def test_the_model_s_own_are_quick() -> None:
    assert Session.__setattr__ is Quick.__setattr__


def test_other_kinds_are_left_to_the_standard_library() -> None:
    class Wide(Quick):
        """Inherits."""

    @values.dataclass(frozen=True)
    class Roomy(Wide):
        """Other options, and it inherits."""

        more: int = 3

    assert Roomy(1).more == 3
    assert [f.name for f in dataclasses.fields(Roomy)][-1] == "more"
    with pytest.raises(TypeError, match=r"for dataclasses\.dataclass alone"):

        @values.dataclass(frozen=True, slots=True)
        class Odd:
            """A field that the constructor does not take."""

            pid: int = field(init=False, default=1)


def test_a_class_that_changes() -> None:
    @values.dataclass
    class Loose:
        """Not frozen."""

        pid: int = 1
        names: list[str] = values.field(default_factory=list, repr=False)

    loose = Loose()
    loose.pid = 2
    loose.names.append("a")
    assert loose == Loose(2, ["a"]) != Loose(2)
    assert Loose().names == []
    assert repr(loose).endswith("Loose(pid=2)")
    assert values.replace(loose, pid=3) == dataclasses.replace(loose, pid=3) == Loose(3, ["a"])
    with pytest.raises(TypeError, match="unhashable"):
        hash(loose)


def test_one_that_is_itself_alone() -> None:
    @values.dataclass(slots=True, eq=False)
    class Alone:
        """Equal to nothing else."""

        pid: int

    one = Alone(1)
    one.pid = 2
    assert one == one != Alone(2)  # noqa: PLR0124 - that is the question
    assert hash(one) == object.__hash__(one)
    assert not hasattr(one, "__dict__")


def test_what_a_class_says_itself_stays() -> None:
    @values.dataclass(frozen=True, slots=True)
    class Own:
        """With a representation of its own."""

        pid: int

        def __repr__(self) -> str:
            return "own"

    assert repr(Own(1)) == "own"


def test_a_list_as_a_default_is_refused() -> None:
    with pytest.raises(ValueError, match="default_factory"):

        @values.dataclass
        class Wrong:
            """Its default would be shared."""

            names: list[str] = []  # noqa: RUF012 - that is the mistake


def test_the_standard_library_s_own_is_not_loaded() -> None:
    program = "import sys, pgusher.model.snapshot; assert not {'dataclasses', 'inspect'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
