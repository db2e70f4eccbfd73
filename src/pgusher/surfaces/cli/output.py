"""Standard output and error: what they can show, and writing to them without ever failing over a reader who left."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO

from pgusher.errors import PgusherError
from pgusher.surfaces.render.screen import SIGNS, Screen


class Output:
    """A stream, and whether anybody still reads it."""

    def __init__(self, stream: TextIO | None, environ: Mapping[str, str], *, must: bool = True) -> None:
        """`must`: data that cannot be written is an error; narration that cannot be written is just lost."""
        self.stream = stream
        """None when the process was started with the stream closed."""
        self.environ = environ
        self._must = must
        self.gone = stream is None
        """True once the reader has closed the pipe: `pgusher | head`."""

    @property
    def terminal(self) -> bool:
        """Whether a person looks at it."""
        try:
            return self.stream is not None and self.stream.isatty()
        except ValueError:  # it was closed
            return False

    @property
    def dumb(self) -> bool:
        """A terminal that knows no escape sequence."""
        return self.environ.get("TERM", "dumb") in {"dumb", ""}

    def screen(self, color: str = "auto", plain: bool = False, width: int | None = None) -> Screen:
        """What can be shown on it now: the width is asked for on each call, as a window changes.

        `width`: a page of so many columns, of any height, whatever the stream is.
        """
        columns, lines = (width, None) if width is not None else self._size() if self.terminal else (None, None)
        auto = self.terminal and not self.dumb and not self.environ.get("NO_COLOR")
        encoding = self._encoding()
        return Screen(
            width=columns,
            height=lines,
            colour=auto if color == "auto" else color == "always",
            unicode=_can_write(encoding),
            encoding=encoding,
            plain=plain,
        )

    def write(self, text: str) -> None:
        """Writes and flushes. A reader who left is noted, not an error.

        Raises PgusherError when it cannot be written for another reason (a full disk).
        """
        if self.stream is None or self.gone:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            self.gone = True
            self._silence()
        except OSError as error:
            self._silence()
            self.gone = True
            if not self._must:
                return
            reason = (error.strerror or str(error)).lower()
            raise PgusherError(f"could not write to standard output: {reason}") from None
        except UnicodeEncodeError:
            # Screen.text has escaped what the encoding lacks; only a text that never was on a screen comes here.
            encoding = self.stream.encoding or "ascii"
            self.stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self.stream.flush()

    def _silence(self) -> None:
        """Nothing more is to be written, not even by the interpreter when it flushes at its end."""
        try:
            descriptor = self.stream.fileno() if self.stream is not None else -1
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, descriptor)
            os.close(null)
        except (OSError, ValueError):
            pass  # no real descriptor (a test), or it is closed: the interpreter has nothing to flush into

    def _size(self) -> tuple[int, int]:
        columns, lines = 0, 0
        # A terminal may not tell: then the old standard below.
        with suppress(OSError, ValueError):
            columns, lines = os.get_terminal_size(self.stream.fileno() if self.stream is not None else 1)
        given = self.environ.get("COLUMNS", ""), self.environ.get("LINES", "")
        columns, lines = (
            int(text) if text.isascii() and text.isdecimal() and 0 < len(text) < 6 and int(text) > 0 else size
            for text, size in zip(given, (columns, lines), strict=True)
        )
        return columns or 80, lines or 24

    def _encoding(self) -> str:
        """What may be written. LC_ALL=C means ASCII, although Python itself writes UTF-8 then (PEP 540)."""
        for name in ("LC_ALL", "LC_CTYPE", "LANG"):
            if value := self.environ.get(name):
                if value in {"C", "POSIX"}:
                    return "ascii"
                break
        found = getattr(self.stream, "encoding", None) or "utf-8"
        return "utf-8" if found.lower().replace("_", "-") in {"utf-8", "utf8"} else found


def _can_write(encoding: str) -> bool:
    try:
        SIGNS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def real(environ: Mapping[str, str]) -> tuple[Output, Output]:
    """The standard output and error of this process."""
    return Output(sys.stdout, environ), Output(sys.stderr, environ, must=False)
