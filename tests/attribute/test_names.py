"""Names: short, stable, safe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pgusher.attribute.names import LONGEST, NAME, assign, slug
from pgusher.attribute.roots import Root
from pgusher.model.holder import HolderKind


def root(*key: str, base: str = "script/a", qualifiers: tuple[str, ...] = ()) -> Root:
    return Root(key, HolderKind.SCRIPT, base, "", qualifiers)


def test_slugs() -> None:
    assert slug("report.py") == "report.py"
    assert slug("a b/c;$(rm)") == "a-b-c-rm"
    assert slug("--help") == "help"
    assert slug("\x1b[31m") == "31m"
    assert slug("../../etc") == "etc"
    assert slug("") == "x"
    assert slug("fd00::1%eth0") == "fd00::1-eth0"


def test_other_letters_keep_names_apart() -> None:
    assert slug("отчёт.py") != slug("заказ.py")
    assert NAME.fullmatch(slug("отчёт.py"))


def test_long_names_are_cut_and_kept_apart() -> None:
    assert len(slug("a" * 100)) <= LONGEST
    assert slug("a" * 100) != slug("a" * 101)


@given(st.text(max_size=200))
def test_any_text_becomes_a_part_of_a_name(text: str) -> None:
    assert NAME.fullmatch(slug(text))
    assert "/" not in slug(text)
    assert slug(text) == slug(text)


def test_one_holder_has_the_plain_name() -> None:
    assert assign([root("1", qualifiers=("bob",))]) == {("1",): "script/a"}


def test_two_are_told_apart_by_the_first_qualifier_that_does() -> None:
    names = assign([root("1", qualifiers=("bob", "x")), root("2", qualifiers=("alice", "x"))])
    assert names == {("1",): "script/a+bob", ("2",): "script/a+alice"}
    names = assign([root("1", qualifiers=("bob", "x")), root("2", qualifiers=("bob", "y"))])
    assert names == {("1",): "script/a+x", ("2",): "script/a+y"}


def test_several_qualifiers_together_when_none_alone_does() -> None:
    roots = [root(str(i), qualifiers=q) for i, q in enumerate([("a", "x"), ("a", "y"), ("b", "x")])]
    assert sorted(assign(roots).values()) == ["script/a+a:x", "script/a+a:y", "script/a+b:x"]


def test_a_checksum_when_nothing_else_does() -> None:
    names = assign([root("1", qualifiers=("bob",)), root("2", qualifiers=("bob",))])
    assert len(set(names.values())) == 2
    assert all(NAME.fullmatch(name) for name in names.values())


def test_a_suffix_does_not_collide_with_another_holder() -> None:
    roots = [
        root("1", qualifiers=("bob",)),
        root("2", qualifiers=("alice",)),
        root("3", base="script/a+bob"),
    ]
    assert len(set(assign(roots).values())) == 3


@st.composite
def some_roots(draw: st.DrawFn) -> list[Root]:
    words = st.sampled_from(["a", "b", "bob", "", "é", "x y", "a+b"])
    made = draw(st.lists(st.tuples(words, words, words, st.integers(0, 30)), max_size=12))
    return [
        root(str(number), first, base=f"script/{slug(first)}", qualifiers=(second, third)[: number % 3])
        for first, second, third, number in made
    ]


@given(some_roots(), st.randoms())
def test_names_are_unique_and_the_same_in_any_order(roots: list[Root], random: object) -> None:
    names = assign(roots)
    assert len(set(names.values())) == len({r.key for r in roots})
    assert all(NAME.fullmatch(name) for name in names.values())
    # Two roots of one key are one holder, and have one base and one set of qualifiers.
    by_key = {r.key: r for r in roots}
    turned = list(reversed(list(by_key.values())))
    assert assign(turned) == assign(by_key.values())
