"""What is made the fast way is what the dataclass itself makes, and is as frozen."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.collect.sockets.making import aged, made
from pgusher.model import codec
from pgusher.model.address import Transport
from pgusher.model.sockets import ClientSocket, FdHolder, Sight

numbers = st.none() | st.integers(0, 2**64)
values = st.tuples(
    st.sampled_from(Transport),
    st.sampled_from(Sight),
    st.none() | st.text(max_size=40),
    numbers,
    numbers,
    st.integers(0, 2**64),
    st.integers(0, 2**64),
    numbers,
    numbers,
    numbers,
    st.none() | st.text(max_size=12),
    numbers,
    st.lists(st.builds(FdHolder, st.integers(1), st.integers(0)), max_size=3).map(tuple),
    numbers,
)


@given(values, numbers)
def test_the_same_as_the_dataclass_makes(fields: tuple, idle: int | None) -> None:  # type: ignore[type-arg]
    expected = ClientSocket(*fields)
    for socket, truth in (
        (made(*fields), expected),
        (aged(expected, idle), dataclasses.replace(expected, active_at=idle)),
    ):
        assert type(socket) is ClientSocket
        assert socket == truth
        assert hash(socket) == hash(truth)
        assert repr(socket) == repr(truth)
        assert codec.load(ClientSocket, codec.dump(socket)) == truth
        assert copy.deepcopy(socket) == pickle.loads(pickle.dumps(socket)) == truth  # noqa: S301 - bytes of the test itself
        with pytest.raises(dataclasses.FrozenInstanceError):
            socket.active_at = 1  # type: ignore[misc]


def test_no_field_is_forgotten() -> None:
    """A field that the model gains must be made here too: an unset slot raises only when somebody looks."""
    socket = made(Transport.TCP, Sight.EXACT, None, None, None, 0, 0, None, None, None, None, None, ())
    for field in dataclasses.fields(ClientSocket):
        getattr(socket, field.name)
        getattr(aged(socket, 5), field.name)
