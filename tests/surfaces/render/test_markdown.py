"""Pages of Markdown on a terminal and in a pipe."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.surfaces.render import cells
from pgusher.surfaces.render.markdown import page_lines
from pgusher.surfaces.render.screen import Screen

PAGE = """\
# a-rule

A run of a job that is **older** than its schedule explains waits in `queue.join()`, see [the page](docs/x.md), and this
sentence goes on.

## What to do

- end it with `kill 4711`, and then so many more words that the line does not fit into eighty columns any more
- or wait
  a little

```toml
[server]
slots =   100
```
"""
SGR = re.compile(r"\x1b\[[0-9;]*m")


def shown(screen: Screen, text: str = PAGE) -> str:
    return screen.page(page_lines(screen, text))


def test_a_pipe_gets_the_page_itself() -> None:
    assert shown(Screen(width=None, height=None)) == PAGE


def test_a_terminal_gets_it_filled_to_its_width() -> None:
    text = shown(Screen())
    assert text.splitlines()[0] == "A-RULE"
    assert max(map(len, text.splitlines())) <= 80
    assert "the page (docs/x.md)" in text
    assert "\n- end it with `kill 4711`, and" in text
    assert "\n  fit into eighty columns any more\n- or wait a little\n" in text
    assert "\n    slots =   100\n" in text
    assert "```" not in text


def test_colour_stands_for_the_marks_and_takes_no_room() -> None:
    coloured = shown(Screen(colour=True))
    assert "\x1b[36mqueue.join()\x1b[0m" in coloured
    assert "\x1b[1molder\x1b[0m" in coloured
    assert max(map(len, SGR.sub("", coloured).splitlines())) <= 80


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_every_word_is_there_at_any_width(width: int) -> None:
    words = re.sub(r"[#*`\[\]()-]|```toml", " ", PAGE).lower().split()
    text = re.sub(r"[#*`\[\]()-]", " ", shown(Screen(width=width, colour=False))).lower()
    assert [word for word in words if word != "toml"] == text.split()


def test_the_examples_of_a_rule_s_page_say_what_they_show() -> None:
    page = "```toml fires\nslots = 1\n```\n```text\nWARNING x\n```\n\nA world:\n\n```toml silent\nslots = 2\n```\n"
    assert shown(Screen(), page) == (
        "    slots = 1\n  pgusher says\n    WARNING x\n\nA world:\n\n    slots = 2\n  pgusher says nothing\n"
    )


@given(st.text(st.sampled_from("ab` *-#1.\n|~[]()\x1b中"), max_size=200), st.sampled_from([25, 80]), st.booleans())
def test_any_text_is_a_page(text: str, width: int, colour: bool) -> None:
    lines = SGR.sub("", shown(Screen(width=width, colour=colour), text)).splitlines()
    assert all(cells.width(line) <= width for line in lines)
    assert "\x1b" not in "".join(lines)
