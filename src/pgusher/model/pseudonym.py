"""Names for names: each word of a site that could tell whose it is becomes another one, everywhere the same.

So a snapshot can leave the house: its chains still hold together, since a script's name becomes the same word in its
command line, its crontab and its file. Whatever is not known to be public is replaced: a list of what is secret would
always lack one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from pgusher.model.redact import HIDDEN
from pgusher.model.vocabulary import COMMON, PACKAGES

_V4 = r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)"
_V6 = r"(?<![\w:])(?=[0-9A-Fa-f:.]{2,45}(?![\w:]))(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f.]*"
_ADDRESS = re.compile(f"{_V4}|{_V6}")
_WORD = re.compile(rf"{re.escape(HIDDEN)}|(?P<address>{_V4}|{_V6})|[^\W_](?:\w*[^\W_])?")
_HEX = re.compile(r"(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}")
# In a sentence of ours or of the system's: what is quoted, a path, a value, a host's name, a word with a digit.
_TOLD = re.compile(
    r"(?P<name>\"[^\"]*\"|«[^»]*»|»[^«]*«|„[^“”]*[“”]|(?<!\w)'[^']*'|(?<!\w)`[^`]*`|\w*(?:/[^\s,;:()\"]+)+/?"
    r"|(?<=\w=)[^\s,;]+|[\w-]+(?:\.[\w-]+)+)|[^\W_](?:[\w-]*\w)?"
)
_TELLING = re.compile(r"[\d_]")
_BLOCKS = ("192.0.2", "198.51.100", "203.0.113")
"""The addresses that are set aside for documents (RFC 5737)."""


class Pseudonyms:
    """The words that were given, and those that stand for them. The same word gets the same one, in any case."""

    def __init__(self, public: Iterable[str] = (), prose: Iterable[str] = (), modules: Iterable[str] = ()) -> None:
        """`public` are further words that may stay: the names of known programs. `prose` are those of sentences.

        `modules` are those of Python's standard library, whose files and functions tell nothing.
        """
        self.modules = PACKAGES | frozenset(modules)
        self._public = COMMON | {word.lower() for word in public}
        self._prose = self._public | {word.lower() for word in prose}
        self._words: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._next: Counter[str] = Counter()

    @property
    def replaced(self) -> dict[str, int]:
        """How many different words of each kind were replaced: {"role": 3, "address": 2}."""
        return {kind: number for kind, number in sorted(self._next.items()) if number}

    @property
    def originals(self) -> frozenset[str]:
        """Every word that was replaced, in lower case: to prove that none of them is left."""
        return frozenset(self._words) | frozenset(self._addresses)

    def strict(self, text: str, kind: str = "name") -> str:
        """The text with every word that is not public replaced. `kind` names new ones: "role" gives role1."""

        def replace(match: re.Match[str]) -> str:
            if match.group() == HIDDEN:
                return HIDDEN
            if match.group("address") and (address := self._address(match.group())) is not None:
                return address
            if match.group("address"):
                return "".join(self._word(part, kind) for part in re.split(r"([:.])", match.group()))
            return self._word(match.group(), kind)

        return _WORD.sub(replace, text)

    def cut(self, text: str, length: int) -> str:
        """As `strict`, of a text that the kernel cuts at `length`: its last word may be part of a known one."""
        if len(text) < length or not (last := re.search(r"[^\W_](?:\w*[^\W_])?_?$", text)):
            return self.strict(text)
        begin = last.group().lower()
        whole = next((word for word in self._words if word.startswith(begin)), None)
        if whole is None or begin in self._public:
            return self.strict(text)
        return (self.strict(text[: last.start()]) + self._words[whole])[:length]

    def told(self, text: str) -> str:
        """A sentence of pgusher's, the server's or the system's: what is no word of its prose is replaced.

        So is a word of prose that is a name here, and whatever is quoted, in a path or after "=".
        """

        def replace(match: re.Match[str]) -> str:
            found = match.group()
            if match.group("name") or _TELLING.search(found):
                return self.strict(found)
            return "-".join(self._said(part) for part in found.split("-"))

        def value(part: str) -> str:
            return _TOLD.sub(replace, part)

        # Addresses first: they hold dots and colons, at which a sentence would be cut.
        out, done = [], 0
        for match in _ADDRESS.finditer(text):
            if (address := self._address(match.group())) is not None:
                out += [value(text[done : match.start()]), address]
                done = match.end()
        return "".join(out) + value(text[done:])

    def _said(self, word: str) -> str:
        known = self._words.get(word.lower())
        return known or (word if word.lower() in self._prose else self.strict(word))

    def _word(self, word: str, kind: str) -> str:
        key = word.lower()
        if key in self._public or len(word) <= 1 or (word.isdecimal() and len(word) <= 5):
            return word
        known = self._words.get(key)
        if known is None:
            known = self._words[key] = self._new(key, kind)
        return known

    def _new(self, key: str, kind: str) -> str:
        kind = "number" if key.isdecimal() else "id" if _HEX.fullmatch(key) else kind
        self._next[kind] += 1
        number = self._next[kind]
        if kind in ("number", "id"):  # of the same length: a container's id stays one
            return f"{number:0{len(key)}x}" if kind == "id" else f"{number:0{len(key)}}"
        return f"{kind}{number}"

    def _address(self, text: str) -> str | None:
        """The address that stands for this one; itself for loopback and "any"; None when it is none."""
        from ipaddress import ip_address  # late: only a report needs it

        try:
            address = ip_address(text)
        except ValueError:
            return None
        if address.is_loopback or address.is_unspecified:
            return text
        if text not in self._addresses:
            self._next["address"] += 1
            number = self._next["address"] - 1
            block, host = divmod(number, 254)
            if address.version == 6:
                self._addresses[text] = f"2001:db8::{number + 1:x}"  # RFC 3849
            elif block < len(_BLOCKS):
                self._addresses[text] = f"{_BLOCKS[block]}.{host + 1}"
            else:
                self._addresses[text] = f"100.64.{number >> 8 & 255}.{number & 255}"
        return self._addresses[text]
