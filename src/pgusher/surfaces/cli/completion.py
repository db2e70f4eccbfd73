"""`pgusher completion`: what a shell needs to complete pgusher's commands, options and holders."""

from __future__ import annotations

from pgusher.errors import PgusherError, UsageError
from pgusher.surfaces.cli.common import GENERAL, request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Argument, Command, Values, read
from pgusher.surfaces.render.words import count

SHELLS = ("bash", "zsh", "fish")
_FILES = {"bash": "pgusher.bash", "zsh": "_pgusher", "fish": "pgusher.fish"}
_PATIENCE = 1.0
"""Seconds that a person who presses Tab waits at most for a server."""


def run(values: Values, context: Context) -> int:
    """Prints the script of a shell, or the names that a word can be completed with."""
    what, *line = values["what"] or [""]
    if what in {"names", "line"}:
        found = names(_words(line) if what == "line" else line, context)
        context.out.write("".join(f"{name}\t{title}\n" for name, title in found))
        return 0
    if what not in SHELLS or line:
        raise UsageError(f"the shell must be one of {', '.join(SHELLS)}", hint=f"usage: {COMMAND.usage}")
    context.out.write(script(what))
    return 0


def script(shell: str) -> str:
    """The completion script of a shell, as it is in the package."""
    import pkgutil  # late: only whoever installs the completion reads it, perhaps out of a zip

    return (pkgutil.get_data(__name__, f"data/{_FILES[shell]}") or b"").decode()


def _words(line: list[str]) -> list[str]:
    """The words of a line as bash has it, without the program and the one that is being typed.

    Bash's own list of words is no use: it parts --port=5433 and host:port.
    """
    import shlex  # late: only Tab needs it

    text = " ".join(line)
    for ending in ("", "'", '"'):  # the last word may have an open quote
        try:
            return shlex.split(text + ending + "|")[1:-1]
        except ValueError:
            continue
    return []


def names(line: list[str], context: Context) -> list[tuple[str, str]]:
    """The holders there are now (or the rules), each with a few words; none if anything at all is in the way.

    `line` holds the words typed so far, so that `pgusher -p 5433 who <Tab>` asks the right server.
    """
    from pgusher.surfaces.cli.main import split_command

    screen = context.out.screen("never")
    try:
        command, rest = split_command(line)
        if command.name == "explain":
            return [(name, "") for name in context.app.rule_names()]
        if command.name == "undo-help":
            return _plans(context)
        if any(rest[-1:] == [flag] for option in command.options if option.asked for flag in option.flags):
            from pgusher.app.free_store import LASTS  # late: only who completes a plan needs it

            return _plans(context, LASTS)
        if command.argument is None or not command.argument.asked:
            return []
        values = read(command, rest)
        values["timeout"] = min(values["timeout"], _PATIENCE)
        if values["replay"] == "-":
            return []  # what comes through the pipe is for the command
        if values["replay"] is not None:
            look = context.app.read(values["replay"])
        else:
            looker = context.app.looker(request_of(values, context.app.config(values["config"])))
            try:
                look = looker.look()
            finally:
                looker.close()
    except (PgusherError, OSError):
        return []
    found = {}
    for snapshot in look.snapshots:
        for holder in snapshot.holders:
            name = screen.text(holder.name)
            # A name that was not clean cannot be typed; it is reached by a pid.
            if name == holder.name and name.strip():
                found[name] = screen.text(f"{count(len(holder.sessions), 'slot')}, {holder.title}")
    return list(found.items())


def _plans(context: Context, lasts: int | None = None) -> list[tuple[str, str]]:
    """The plans there are; those of the last `lasts` microseconds."""
    since = 0.0 if lasts is None else context.clock() - lasts / 1e6
    return [(name, "a plan") for name in context.app.plans().names(since)]


COMMAND = Command(
    name="completion",
    summary="the completion script of a shell",
    description=(
        "Prints what a shell needs to complete commands, options and, by a quick look, the holders there are now. "
        "A package of the system installs it by itself."
    ),
    options=GENERAL,
    argument=Argument("what", "bash|zsh|fish", "the shell", required=True, choices=SHELLS, many=True),
    run=run,
    examples=(
        ('eval "$(pgusher completion bash)"', "in ~/.bashrc"),
        ("pgusher completion zsh > ~/.zfunc/_pgusher", "with ~/.zfunc in fpath"),
        ("pgusher completion fish > ~/.config/fish/completions/pgusher.fish", "for fish"),
    ),
)
