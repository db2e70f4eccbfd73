"""What is printed unchanged holds nothing that a terminal would act on."""

from __future__ import annotations

import sys

from pgusher.model.text import _UNSAFE, clean


def test_no_character_that_is_called_printable_is_one_to_be_escaped() -> None:
    assert not [hex(code) for code in range(sys.maxunicode + 1) if chr(code).isprintable() and _UNSAFE.match(chr(code))]


def test_what_a_terminal_would_act_on_is_shown() -> None:
    assert clean("a\x1b[2Jb\tc\nd\u202e\ud800") == "a\\x1b[2Jb c d\\u202e\\ud800"
    assert clean("Zoë's café №5") == "Zoë's café №5"
