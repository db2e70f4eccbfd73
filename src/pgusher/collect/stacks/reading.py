"""What a program's own source says of the lines on its stacks, by parsing it; it is never run or imported.

It says what is called on a line, which with statements a line stands in, and which calls that others wait for
(task_done, release, set, putconn ...) are skipped by an error because they stand in no finally block.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from pgusher.model.stacks import AT_SIGTERM, LOOP, Clue, ClueKind

COUNTERPARTS = frozenset(
    {
        *("task_done", "put", "put_nowait", "set", "release", "notify", "notify_all", "wait", "abort", "putconn"),
        *("close", "set_result", "set_exception", "shutdown", "stop", "send", "send_bytes", "cancel", "terminate"),
    }
)
"""Names of methods that can end another thread's waiting."""
_SKIPPED = frozenset({"task_done", "release", "set", "putconn", "notify", "notify_all", "set_result", "put", "wait"})
_TAKES = frozenset({"get", "acquire", "getconn", "get_nowait"})
_EXITS = frozenset({"sys.exit", "exit", "quit", "os._exit", "SystemExit", "KeyboardInterrupt", "print"})
_LONGEST = 80
_PARSER = threading.Lock()
"""CPython 3.11's parser counts its depth for all threads together: two at once give SystemError (gh-106905)."""
_MOST = 200
"""Clues of one file."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_With = ast.With | ast.AsyncWith


def clues(source: bytes, file: str, lines: Mapping[int, str]) -> list[Clue]:
    """What the source says. `lines` are the lines on stacks with their functions. Raises nothing."""
    try:
        with _PARSER:
            tree = ast.parse(source)
        found = [*_handlers(tree, file), *_on_lines(tree, file, lines), *_skipped(tree, file)]
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return []  # of another version of Python, or no Python at all
    return found[:_MOST]


def _on_lines(tree: ast.Module, file: str, lines: Mapping[int, str]) -> Iterator[Clue]:
    wanted = {line for line in lines if line > 0}
    functions = _reached(tree, {name.rpartition(".")[2] for name in lines.values()})
    for path in _paths(tree):
        node = path[-1]
        start = getattr(node, "lineno", 0)
        if isinstance(node, ast.Call):
            yield from _call(node, path, file, wanted, functions)
        elif isinstance(node, ast.With | ast.AsyncWith) and start in wanted:
            for item in node.items:
                yield Clue(ClueKind.AT, "with " + _text(item.context_expr), file, start, _function(path))
        if isinstance(node, ast.While):
            for line in sorted(wanted):
                if node.body[0].lineno <= line <= (node.body[-1].end_lineno or start):
                    yield Clue(ClueKind.INSIDE, LOOP, file, line, _function(path))
        if isinstance(node, ast.With | ast.AsyncWith):
            last = node.end_lineno or start
            for line in sorted(wanted):
                if start < line and node.body[0].lineno <= line <= last:
                    for item in node.items:
                        yield Clue(ClueKind.INSIDE, _text(item.context_expr), file, line, _function(path))


def _call(
    node: ast.Call, path: Sequence[ast.AST], file: str, wanted: set[int], functions: Mapping[str, set[str]]
) -> Iterator[Clue]:
    name = _text(node.func)
    last = node.end_lineno or node.lineno
    for line in sorted(wanted):
        if node.lineno <= line <= last:
            yield Clue(ClueKind.AT, name, file, line, _function(path))
    inside = _function(path) or "<module>"
    if name.rpartition(".")[2] in COUNTERPARTS and "." in name and inside in functions:
        for caller in sorted(functions[inside]):
            yield Clue(ClueKind.CALLS, name, file, node.lineno, caller)


def _handlers(tree: ast.Module, file: str) -> Iterator[Clue]:
    """Whether what is called at SIGTERM does more than to end the program: "exit" when it does not, else "?"."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, _Function)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _text(node.func) != "signal.signal" or len(node.args) != 2:
            continue
        if _text(node.args[0]) != "signal.SIGTERM":
            continue
        given = node.args[1]
        handler = given if isinstance(given, ast.Lambda) else functions.get(_text(given))
        calls = [one for one in ast.walk(handler) if isinstance(one, ast.Call)] if handler is not None else []
        ends = bool(calls) and all(_text(one.func) in _EXITS for one in calls)
        yield Clue(ClueKind.CALLS, "exit" if ends else "?", file, node.lineno, AT_SIGTERM)


def _reached(tree: ast.Module, on_stacks: set[str]) -> dict[str, set[str]]:
    """Each function that those on stacks may call, by name within the file, with who of them does."""
    called: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            inner = (one.func for one in ast.walk(node) if isinstance(one, ast.Call))
            called.setdefault(node.name, set()).update(_text(one).rpartition(".")[2] for one in inner)
    found: dict[str, set[str]] = {}
    for start in on_stacks:
        todo, seen = [start], set[str]()
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                found.setdefault(name, set()).add(start)
                todo += called.get(name, set()) & called.keys()
    return found


def _paths(tree: ast.Module) -> Iterator[list[ast.AST]]:
    """Each node with all that it stands in, outermost first. Without recursion: a source may be nested deeply."""
    todo: list[tuple[ast.AST, list[ast.AST]]] = [(tree, [])]
    while todo:
        node, above = todo.pop()
        path = [*above, node]
        yield path
        # An expression's path is of no use beyond its statement: it is cut, or a long chain would cost its square.
        keep = path if isinstance(node, ast.stmt | ast.Module) or len(path) < 40 else above
        todo += [(child, keep) for child in ast.iter_child_nodes(node)]


def _function(path: Sequence[ast.AST]) -> str:
    return next((node.name for node in reversed(path[:-1]) if isinstance(node, _Function)), "")


def _text(node: ast.expr) -> str:
    """A dotted name as it is written; of anything else its last name only: strings in it may be secrets."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    elif isinstance(node, ast.Call):
        parts.append(_text(node.func) + "()")
    else:
        parts.append("?")
    return ".".join(reversed(parts))[:_LONGEST]


def _skipped(tree: ast.Module, file: str) -> Iterator[Clue]:
    for path in _paths(tree):
        node = path[-1]
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in _SKIPPED or (node.func.attr == "put" and not _is_sentinel(node)):
            continue
        function = next((one for one in reversed(path) if isinstance(one, _Function)), None)
        if function is None or _always_runs(path):
            continue
        after, lines = _stretch(path, function, node)
        if after:
            yield Clue(ClueKind.NOT_IN_FINALLY, _text(node.func), file, node.lineno, function.name, after, tuple(lines))


def _is_sentinel(node: ast.Call) -> bool:
    """Whether what is put says that nothing more will come: put(None)."""
    return bool(node.args) and isinstance(node.args[0], ast.Constant) and node.args[0].value is None


def _always_runs(path: Sequence[ast.AST]) -> bool:
    """Whether it stands in a finally block."""
    return any(isinstance(outer, ast.Try) and inner in outer.finalbody for outer, inner in pairwise(path))


def _stretch(path: Sequence[ast.AST], function: ast.AST, call: ast.Call) -> tuple[int, list[int]]:
    """The first line that an error can happen in before the call, and the raise statements up to it; 0 for none.

    From behind the line that took what the call gives back (get, acquire), or else from the function's beginning.
    """
    body: list[ast.stmt] = getattr(function, "body", [])
    first = body[0].lineno if body else 0
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TAKES:
            end = (node.end_lineno or node.lineno) + 1
            if first < end <= call.lineno and _same_receiver(node.func, call.func):
                first = end
    raises = sorted(
        node.lineno
        for node in ast.walk(function)
        if isinstance(node, ast.Raise | ast.Assert) and first <= node.lineno < call.lineno
    )
    return (first, raises) if first < call.lineno and len(path) > 1 else (0, [])


def _same_receiver(taken: ast.Attribute, given: ast.expr) -> bool:
    return isinstance(given, ast.Attribute) and _text(taken.value) == _text(given.value)
