"""The text of --help, from the declarations of a command."""

from __future__ import annotations

from pgusher.surfaces.cli import registry
from pgusher.surfaces.cli.options import Command, Option

_FINDING = (
    "a finding: a server is full, a limit is reached, or a rule found something as bad as --fail-on says (by default a "
    "warning); for doctor: something is not seen whole"
)
EXIT_CODES: tuple[tuple[int | str, str], ...] = (
    (0, "nothing found: no server is full, no limit is reached, no finding is as bad as --fail-on says"),
    (1, _FINDING),
    (2, "wrong usage, an unusable file, or a name that means nothing here"),
    (3, "no server could be reached, or nothing could be written"),
    (4, "asked to act, and something was refused, failed or could not be verified"),
    ("0-3", "with --format nagios: OK, WARNING, CRITICAL, UNKNOWN"),
    (130, "interrupted with Ctrl-C, also out of --watch"),
)
_INDENT = 2


def help_text(command: Command, width: int | None = None) -> str:
    """What `--help` prints."""
    room = max(40, min(width or 100, 100))
    lines = [f"usage: {command.usage}", ""]
    lines += fill(command.description, room)
    if not command.name:
        summaries = [(f"pgusher {name}", registry.command(name).summary) for name in registry.NAMES]
        lines += ["", "Commands:", *_pairs(summaries, room)]
    if command.argument:
        lines += ["", "Argument:", *_pairs([(command.argument.shown, command.argument.help)], room)]
    for group, options in groups(command).items():
        lines += ["", f"{group}:", *_pairs([(spelled(option), option.help) for option in options], room)]
    if command.examples:
        lines += ["", "Examples:", *_pairs(list(command.examples), room)]
    if not command.name:
        lines += ["", "Exit codes:", *_pairs([(str(code), text) for code, text in EXIT_CODES], room)]
    return "\n".join(lines) + "\n"


def groups(command: Command) -> dict[str, list[Option]]:
    """The options by group, in the order in which they are declared."""
    found: dict[str, list[Option]] = {}
    for option in command.options:
        found.setdefault(option.group, []).append(option)
    return found


def spelled(option: Option) -> str:
    """ "-p, --port PORT"."""
    flags = ", ".join(option.shown)
    if option.value is None:
        return flags
    return f"{flags} [{option.value}]" if option.optional else f"{flags} {option.value}"


def fill(text: str, room: int, indent: int = 0) -> list[str]:
    """The text in lines of at most `room` columns (as textwrap, which costs an import)."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and len(longer) > room - indent:
            lines.append(" " * indent + line)
            longer = word
        line = longer
    return [*lines, " " * indent + line] if line else lines


def _pairs(pairs: list[tuple[str, str]], room: int) -> list[str]:
    """Two columns; the second below the first where that is too wide."""
    widest = max(len(left) for left, _ in pairs)
    column = min(widest, 28) + _INDENT + 2
    if widest > 40 or room < 60:  # examples and narrow terminals: one below the other reads better than a thin column
        column = _INDENT + 4
    lines: list[str] = []
    for left, right in pairs:
        said = fill(right, room, column)
        head = " " * _INDENT + left
        if len(head) + 2 <= column:
            lines += [head.ljust(column) + said[0].lstrip(), *said[1:]]
        else:
            lines += [head, *said]
    return lines
