"""The pages of the rules, taken apart: their sections, and the worlds in them that are tests."""

from __future__ import annotations

import re
from dataclasses import dataclass

SECTIONS = ("What it does", "Why it matters", "Example", "What to do", "When it is wrong", "Remedy safety")
_FENCE = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.M | re.S)
KINDS = ("fires", "silent", "remedied")
"""A world in which the rule fires, one that looks alike and is well, and the first one after the remedy."""


@dataclass(frozen=True)
class Example:
    """A world of a page."""

    kind: str
    world: str
    printed: tuple[str, ...]
    """The lines that the page says pgusher prints."""


@dataclass(frozen=True)
class Page:
    """One page."""

    title: str
    sections: tuple[str, ...]
    examples: tuple[Example, ...]
    bodies: dict[str, str]


def parse(text: str) -> Page:
    """A page, which is wrong where it does not fit its form."""
    headings = re.findall(r"^## (.*)$", text, re.M)
    parts = re.split(r"^## .*$", text, flags=re.M)[1:]
    examples: list[Example] = []
    for language, kind, body in _FENCE.findall(text):
        if language == "toml":
            assert kind in KINDS, f"a world is one of {KINDS}, not {kind!r}"
            examples.append(Example(kind, body, ()))
        elif language == "text":
            last = examples.pop()
            assert not last.printed, "two outputs of one world"
            examples.append(Example(last.kind, last.world, tuple(body.splitlines())))
    title = re.match(r"# (.*)\n", text)
    assert title, "a page begins with its title"
    return Page(title[1], tuple(headings), tuple(examples), dict(zip(headings, parts, strict=True)))
