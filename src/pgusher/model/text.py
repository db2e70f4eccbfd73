"""Hostile text made harmless: decoding that cannot fail, and control characters made visible."""

from __future__ import annotations

import re

from pgusher.model.pattern import pattern

# C0, DEL, C1, the line and paragraph separators, the directional controls that can reverse a line on screen,
# zero-width and tag characters that make two names look alike, and lone surrogates, which no output can encode.

_UNSAFE = pattern(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
    "\u061c\u180e\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def decode(raw: bytes) -> str:
    """UTF-8, with what is not written as \\xNN. Never raises; the result can always be encoded again."""
    return raw.decode("utf-8", "backslashreplace")


def clean(text: str) -> str:
    """The text on one line, with each control character written as an escape: ESC becomes \\x1b."""
    if text.isprintable():  # none of those is
        return text
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code == 0x0A:
        return " "
    if code == 0x09:
        return " "
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
