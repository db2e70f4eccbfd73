"""The command lines of crontabs as a shell reads them: simple commands, without what stands around them.

This is no shell: nothing is expanded. A word with an expansion keeps it, and who compares such a word must know that
anything may stand for it. Every function takes any text, also a torn one, in time linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pgusher.model.pattern import pattern

_TOKEN = pattern(
    r"(?P<blank>[ \t\r]+|\\\n)"
    r"|(?P<comment>\#[^\n]*)"
    r"|(?P<redirect>\d*(?:<<<|<<|<>|<&|>>|>&|>\||[<>])|&>>?)"
    r"|(?P<operator>\|\||&&|;;|\|&|[;&|()\n])"
    r"|(?P<word>(?:[^\s'\"\\;&|()<>]+|\\.|\\\Z|'[^']*(?:'|\Z)|\"(?:[^\"\\]|\\.)*(?:\"|\Z|\\\Z))+)"
    r"|(?P<other>.)",
    re.S,
)
_QUOTED = pattern(r"\\(\n|.)|'([^']*)'?|\"((?:[^\"\\]|\\.)*)\"?", re.S)
_IN_DOUBLE = pattern(r"\\([$`\"\\\n])")
_ASSIGNMENT = pattern(r"[A-Za-z_]\w*\+?=")
_KEYWORDS = frozenset({"if", "then", "else", "elif", "while", "until", "do", "!", "{", "time", "fi", "done", "}"})
LONGEST = 8192
"""Characters of a command that are read."""


def simple_commands(text: str) -> list[list[str]]:
    """The simple commands of a command line, in order, as words: without quotes, redirections and assignments.

    >>> simple_commands("cd /srv && LANG=C flock -n /l python 'a b.py' >> log 2>&1 &")
    [['cd', '/srv'], ['flock', '-n', '/l', 'python', 'a b.py']]
    """
    commands: list[list[str]] = []
    words: list[str] = []
    target = False  # the next word is where a redirection goes
    for match in _TOKEN.finditer(text[:LONGEST]):
        kind = match.lastgroup
        if kind == "word":
            if target:
                target = False
                continue
            word = unquote(match.group())
            if words or not (_ASSIGNMENT.match(word) or word in _KEYWORDS):
                words.append(word)
        elif kind == "redirect":
            target = True
        elif kind == "operator":
            target = False
            if words:
                commands.append(words)
                words = []
    if words:
        commands.append(words)
    return commands


def unquote(word: str) -> str:
    """A word as the program gets it, with no expansion done: quotes and backslashes are gone."""
    if "'" not in word and '"' not in word and "\\" not in word:
        return word
    return _QUOTED.sub(_plain, word)


def _plain(match: re.Match[str]) -> str:
    escaped, single, double = match.groups()
    if escaped is not None:
        return "" if escaped == "\n" else escaped
    if single is not None:
        return single
    return _IN_DOUBLE.sub(lambda m: "" if m.group(1) == "\n" else m.group(1), double)


def quote(word: str) -> str:
    """A word as a person types it into a shell."""
    if re.fullmatch(r"[\w@%+=:,./-]+", word, re.A):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


# Programs that only run another one: which of their short options take a value, and how many words of their own
# come before the command. Sources: their manual pages (coreutils, util-linux, sudo, daemontools, moreutils, Debian).
WRAPPERS: dict[str, tuple[str, int]] = {
    "sudo": ("ugCDhpRrTtU", 0),
    "doas": ("uC", 0),
    "env": ("uC", 0),
    "nice": ("n", 0),
    "ionice": ("cnpPu", 0),
    "timeout": ("ks", 1),
    "flock": ("wWE", 1),
    "chronic": ("", 0),
    "cronic": ("", 0),
    "setsid": ("", 0),
    "nohup": ("", 0),
    "exec": ("a", 0),
    "command": ("", 0),
    "time": ("fo", 0),
    "stdbuf": ("ioe", 0),
    "chrt": ("TPD", 1),
    "taskset": ("", 1),
    "systemd-cat": ("tp", 0),
    "xvfb-run": ("enfpsw", 0),
    "setuidgid": ("", 1),
    "envdir": ("", 1),
    "softlimit": ("amdslfoprct", 0),
    "chpst": ("uUbednlmofprtcC/", 0),
    "lckdo": ("W", 1),
    "run-one": ("", 0),
    "proxychains4": ("f", 0),
    "cronitor": ("", 2),
    "unbuffer": ("", 0),
    "caffeinate": ("tw", 0),
}
_LONG_WITH_VALUE = frozenset(
    {"--user", "--group", "--signal", "--kill-after", "--timeout", "--wait", "--conflict-exit-code", "--adjustment"}
    | {"--class", "--classdata", "--chdir", "--unset", "--identifier", "--priority", "--name", "--slots", "--overlap"}
)
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh", "rbash"})


def basename(path: str) -> str:
    """The last part of a path; the path itself when it ends with a slash."""
    return path[path.rfind("/") + 1 :] or path


def inner(words: Sequence[str], depth: int = 4) -> list[list[str]]:
    """What a simple command really runs: what `sudo`, `flock`, `timeout`, `sh -c` and the like stand before.

    Several commands when it is a text for a shell; the words themselves when nothing stands before them.
    """
    words = list(words)
    for _ in range(16):
        if not words or depth <= 0:
            return [words] if words else []
        name = basename(words[0])
        if name in SHELLS:
            code = shell_code(words)
            return [words] if code is None else _each(code, depth)
        if name in {"su", "runuser"}:
            code = _value_of(words, "-c", "--command")
            return [words] if code is None else _each(code, depth)
        if name == "pgusher" and "--" in words:
            words = words[words.index("--") + 1 :]
            continue
        if name not in WRAPPERS:
            return [words]
        rest = _behind(words, *WRAPPERS[name])
        if name == "flock" and rest and rest[0] in {"-c", "--command"}:
            return _each(rest[1], depth) if len(rest) > 1 else [words]
        if not rest:
            return [words]
        words = rest
    return [words]


def shell_code(words: Sequence[str]) -> str | None:
    """The text that a shell was given with -c; None when it was not."""
    for place, word in enumerate(words[1:], 1):
        if not word.startswith(("-", "+")) or word == "--":
            return None
        if not word.startswith("--") and "c" in word:
            return words[place + 1] if place + 1 < len(words) else None
    return None


def _each(code: str, depth: int) -> list[list[str]]:
    return [command for words in simple_commands(code) for command in inner(words, depth - 1)]


def _value_of(words: Sequence[str], *options: str) -> str | None:
    return next((words[i + 1] for i, word in enumerate(words[:-1]) if word in options), None)


def _behind(words: Sequence[str], with_value: str, own: int) -> list[str]:
    """The words behind a wrapper's options and its `own` words."""
    at = 1
    while at < len(words):
        word = words[at]
        if word == "--":
            at += 1
            break
        if _ASSIGNMENT.match(word):  # env A=1 command, sudo A=1 command
            at += 1
        elif word.startswith("--"):
            at += 2 if word in _LONG_WITH_VALUE else 1
        elif word.startswith("-") and len(word) > 1:
            # The value is the next word when the letter that takes one is the last of its word.
            at += 2 if word[-1] in with_value and not any(c in with_value for c in word[1:-1]) else 1
        else:
            break
    return list(words[at + own :])
