"""Options: declared once as values, from which the command line is read and help, man page and completion are written.

Not argparse: the command has 250 ms at three in the morning, its messages are part of the design, and the wording of
argparse's changes with every Python. The grammar is GNU's: `--port 5433`, `--port=5433`, `-p 5433`, `-p5433`, flags
bundled (`-av`), options anywhere, nothing after `--` is an option. Long options are not abbreviated, so that a new
option never changes what an old script means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pgusher.errors import UsageError
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the command line."""

    name: str
    """Under which its value is found."""
    flags: tuple[str, ...]
    """As typed, short ones first; all after the first long one are alternatives that help does not list."""
    help: str
    value: str | None = None
    """What its value is called in help ("PORT"); None for a flag without one."""
    choices: tuple[str, ...] = ()
    parse: Callable[[str], Any] = str
    """Makes the value of the word; raises ValueError with what was expected."""
    default: Any = None
    group: str = "Options"
    optional: bool = False
    """True when the value may be left out: `--stop` as well as `--stop 5433`."""
    files: bool = False
    """True when the value is a file, for completion."""
    asked: bool = False
    """True when the values it can have are asked for by `pgusher completion names -- COMMAND FLAG`."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The flags that help lists."""
        long = next((i for i, flag in enumerate(self.flags) if flag.startswith("--")), len(self.flags))
        return self.flags[: long + 1]


@dataclass(frozen=True, slots=True)
class Argument:
    """The word that a command takes besides its options."""

    name: str
    shown: str
    """As help writes it: "HOLDER|PID|IP:PORT|APP"."""
    help: str
    required: bool = False
    choices: tuple[str, ...] = ()
    many: bool = False
    asked: bool = False
    """True when the words it can be are asked for by `pgusher completion names`."""
    files: bool = False
    """True when it is a file, for completion."""
    verbatim: bool = False
    """True when nothing behind its first word is an option of ours: it is another program's command line."""


Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """One command: what it takes, what it says of itself, and what it does."""

    name: str
    """"" for the bare `pgusher`."""
    summary: str
    """One line, as in a list of commands."""
    description: str
    options: tuple[Option, ...]
    run: Callable[[Values, Any], int]
    argument: Argument | None = None
    examples: tuple[tuple[str, str], ...] = ()
    """(what is typed, what it does)."""

    @property
    def usage(self) -> str:
        """ "pgusher who [OPTION]... [HOLDER|PID|IP:PORT|APP]"."""
        words = ["pgusher", self.name, "[OPTION]..."]
        if self.argument:
            word = self.argument.shown + ("..." if self.argument.many else "")
            words.append(word if self.argument.required else f"[{word}]")
        return " ".join(filter(None, words))


def read(command: Command, words: Sequence[str]) -> Values:
    """The values of the options and the argument; every declared name is there.

    Raises UsageError, with what was meant where that can be told.
    """
    flags = {flag: option for option in command.options for flag in option.flags}
    values: Values = {option.name: option.default for option in command.options}
    rest: list[str] = []
    queue = list(reversed(words))
    while queue:
        word = queue.pop()
        if word == "--":
            rest += reversed(queue)
            break
        if word.startswith("--"):
            flag, equals, text = word.partition("=")
            option = flags.get(flag) or _unknown(command, flag)
            _take(option, flag, text if equals else None, queue, values)
        elif word.startswith("-") and len(word) > 1:
            _read_short(command, flags, word, queue, values)
        else:
            rest.append(word)
            if command.argument is not None and command.argument.verbatim:
                rest += reversed(queue)
                break
    _read_argument(command, rest, values)
    return values


def _read_short(command: Command, flags: dict[str, Option], word: str, queue: list[str], values: Values) -> None:
    """ "-av", "-p5433", "-p 5433"."""
    letters = word[1:]
    while letters:
        flag, letters = f"-{letters[0]}", letters[1:]
        option = flags.get(flag) or _unknown(command, flag)
        if option.value is None:
            values[option.name] = True
        else:
            _take(option, flag, letters or None, queue, values)
            return


def _take(option: Option, flag: str, text: str | None, queue: list[str], values: Values) -> None:
    if option.value is None:
        if text is not None:
            raise UsageError(f"option {flag} takes no value")
        values[option.name] = True
        return
    if text is None:
        following = queue[-1] if queue else None
        # No option begins with a digit: --at -30min means half an hour ago.
        if following is not None and (following == "-" or not following.startswith("-") or following[1].isdecimal()):
            text = queue.pop()
        elif option.optional:
            values[option.name] = True
            return
        else:
            hint = "-h is the host, as in psql; help is --help or -?" if flag == "-h" else None
            if following is not None:
                hint = hint or f"a value that begins with a dash is written {option.shown[-1]}={following}"
            raise UsageError(f"option {flag} needs a value: {option.value}", hint=hint)
    if option.choices and text not in option.choices:
        raise UsageError(
            f"option {flag}: {shown(text)} is not one of {', '.join(option.choices)}", hint=meant(text, option.choices)
        )
    try:
        values[option.name] = option.parse(text)
    except ValueError as error:
        raise UsageError(f"option {flag}: expected {error}, got {shown(text)}") from None


def _read_argument(command: Command, rest: list[str], values: Values) -> None:
    argument = command.argument
    if argument is None:
        if rest:
            raise UsageError(f"unexpected word {shown(rest[0])}", hint=f"usage: {command.usage}")
        return
    if argument.many:
        values[argument.name] = rest
        return
    if len(rest) > 1:
        raise UsageError(f"unexpected word {shown(rest[1])}", hint=f"usage: {command.usage}; quote a name with blanks")
    if argument.required and not rest:
        raise UsageError(f"{argument.shown} is missing", hint=f"usage: {command.usage}")
    if rest and argument.choices and rest[0] not in argument.choices:
        listed = ", ".join(argument.choices)
        raise UsageError(f"{shown(rest[0])} is not one of {listed}", hint=meant(rest[0], argument.choices))
    values[argument.name] = rest[0] if rest else None


def _unknown(command: Command, flag: str) -> Option:
    known = [flag for option in command.options for flag in option.flags]
    raise UsageError(
        f"unknown option {shown(flag)}", hint=meant(flag, known) or f"see: {command_words(command)} --help"
    )


def command_words(command: Command) -> str:
    """ "pgusher who"."""
    return f"pgusher {command.name}".rstrip()


def meant(word: str, known: Iterable[str]) -> str | None:
    """ "did you mean --json?", if anything is near."""
    import difflib  # late: only a person who mistyped waits for it

    close = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else None


def shown(word: str) -> str:
    """The word in quotes, short enough for a message of one line."""
    return f'"{word}"' if len(word) <= 30 else f'"{word[:27]}..."'


def number(low: float, high: float, what: str) -> Callable[[str], float]:
    """A parser of numbers between two bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ValueError(what) from None
        if not low <= value <= high:  # also refuses nan
            raise ValueError(what)
        return value

    return parse


def whole(low: int, high: int, what: str) -> Callable[[str], int]:
    """A parser of whole numbers between two bounds."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or len(text) > 12 or not low <= int(text) <= high:
            raise ValueError(what)
        return int(text)

    return parse


def ports(text: str) -> int | str:
    """A parser of a port, or of a list of them as libpq takes it, one for each host: "5432,5433"; "" is the usual."""
    if "," not in text:
        return _PORT(text)
    for one in text.split(","):
        if one:
            _PORT(one)
    return text


_PORT = whole(1, 65535, "1 to 65535")
