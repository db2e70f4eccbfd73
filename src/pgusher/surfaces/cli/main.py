"""`pgusher`: finds the command among the words, runs it, and makes one message and an exit code of what goes wrong."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from contextlib import suppress

from pgusher.errors import PgusherError, RefusedError, UsageError
from pgusher.surfaces.cli import registry
from pgusher.surfaces.cli.common import CONNECTION, JUDGE, PRINT, REPLAY, looks_like_dsn
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Command, Values, meant, read, shown
from pgusher.surfaces.render.shell import quote

USAGE, UNREACHABLE, REFUSED, INTERRUPTED = 2, 3, 4, 130


def main(words: Sequence[str] | None = None, context: Context | None = None) -> int:
    """Runs one command line and gives its exit code."""
    if words is None:
        # What one look makes lives until its end: looking for garbage in it took a twentieth of the time.
        gc.disable()
    words = list(sys.argv[1:] if words is None else words)
    context = context or Context()
    try:
        return _run(words, context)
    except KeyboardInterrupt:
        if context.out.terminal:
            context.out.write("\n")
        return INTERRUPTED
    except PgusherError as error:
        return _fail(error, words, context)


def _run(words: list[str], context: Context) -> int:
    command, rest = split_command(words)
    if {"--help", "-?"} & set(_before_dashes(rest)):
        from pgusher.surfaces.cli.help import help_text

        context.out.write(help_text(command, context.out.screen().width))
        return 0
    if {"--version", "-V"} & set(_before_dashes(rest)):
        from pgusher.surfaces.cli.version import version_text

        context.out.write(version_text())
        return 0
    values: Values = read(command, rest)
    return command.run(values, context)


def split_command(words: list[str]) -> tuple[Command, list[str]]:
    """The command among the words, and the others. Options may stand before it and after it.

    The first word that is neither an option nor the value of one is the command, or a connection string.
    """
    options = CONNECTION + PRINT + JUDGE + REPLAY
    valued = {flag for option in options if option.value is not None for flag in option.flags}
    index = 0
    rest = list(words)
    while index < len(rest):
        word = rest[index]
        if word == "--":
            break
        if word in valued:
            index += 2
        elif word.startswith("-") and len(word) > 1:
            index += 1
        elif looks_like_dsn(word):
            rest[index : index + 1] = [f"--dsn={word}"]
        elif word == "help":
            named = rest[index + 1] if index + 1 < len(rest) else ""
            return _named(named), ["--help"]
        else:
            del rest[index]
            return _named(word), rest
    return registry.command(""), rest


def _named(word: str) -> Command:
    if word == "" or word in registry.NAMES:
        return registry.command(word)
    hint = meant(word, registry.NAMES) or f"what it holds: pgusher who {quote(word[:40])}"
    raise UsageError(f"{shown(word)} is not a command", hint=hint)


def _before_dashes(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _fail(error: PgusherError, words: list[str], context: Context) -> int:
    """The message on standard error; with --json an object on standard output as well."""
    code = USAGE if isinstance(error, UsageError) else REFUSED if isinstance(error, RefusedError) else UNREACHABLE
    if _format(words, "nagios"):
        from pgusher.surfaces.render.nagios import unknown

        line, code = unknown(error.message)
        with suppress(PgusherError):  # where it cannot be written the exit code says it
            context.out.write(line + "\n")
    hint = _completed(error.hint, words, context) if error.hint else error.hint
    lines = [f"pgusher: {error.message}"]
    lines += [f"DETAIL:  {error.detail}"] if error.detail else []
    lines += [f"HINT:  {hint}"] if hint else []
    context.narrate("\n".join(" ".join(line.split("\n")) for line in lines))
    if ("--json" in words or _format(words, "json")) and not context.out.gone:
        import json

        from pgusher.surfaces.render.asjson import error_json

        with suppress(PgusherError):  # where neither stream can be written the exit code says it
            context.out.write(json.dumps(error_json(error.message, error.detail, hint, code)) + "\n")
    return code


def _completed(hint: str, words: list[str], context: Context) -> str:
    """The hint with the options that were typed in its commands; as it is where they cannot be read."""
    if "pgusher" not in hint:
        return hint
    from pgusher.surfaces.cli.common import again

    try:
        values = read(*split_command(words))
    except UsageError:
        return hint
    return again(values, context).text(hint)


def _format(words: list[str], name: str) -> bool:
    """Whether --format NAME was given; the words may be unreadable otherwise."""
    return f"--format={name}" in words or any(
        word == "--format" and words[at + 1 : at + 2] == [name] for at, word in enumerate(words)
    )
