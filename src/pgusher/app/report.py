"""A look that may leave the house: the same facts and conclusions, by other names."""

from __future__ import annotations

import errno
import os
import re
import sys

from pgusher import collect
from pgusher.app.look import Look
from pgusher.attribute import attribute
from pgusher.attribute.programs import TABLE
from pgusher.model.anonymous import anonymous, walked
from pgusher.model.pseudonym import Pseudonyms
from pgusher.model.values import replace

_SERVER = """
remaining connection slots are reserved for non replication superuser connections roles with the privileges of
pg_use_reserved_connections SUPERUSER attribute sorry too many clients already connections for role database
connection to server at on socket failed FATAL ERROR DETAIL HINT password authentication failed peer ident for user
does not exist no pg_hba.conf pg_hba conf entry SSL encryption off timeout expired Is running that host and accepting
TCP IP connections locally terminating due to administrator command starting up shutting down recovery mode connected
permission denied must be member canceling statement
"""
"""PostgreSQL's words, and libpq's, for what keeps a client out."""


def redacted(look: Look) -> tuple[Look, dict[str, int]]:
    """The look with every name of the site replaced, and how many of each kind were: {"role": 3}.

    Chains and holders are concluded anew from the replaced facts, so nothing in them can tell more than those.
    """
    names = Pseudonyms(_public(), _prose(), sys.stdlib_module_names)
    facts = [anonymous(snapshot.facts, names) for snapshot in look.snapshots]
    snapshots = tuple(attribute(one) for one in facts)
    return replace(look, snapshots=snapshots, gaps=walked(look.gaps, names)), names.replaced


def _public() -> set[str]:
    """The words by which known programs are recognised: they must stay, and say nothing of whose they are."""
    found: set[str] = set()
    for program in TABLE:
        parts = (program.id, program.name, *program.exe, *program.script, *program.module, *program.title)
        parts += (*program.jar, *program.path, *program.words, *program.app, *program.says)
        for part in parts:
            found.update(_words(part))
    return found


def _prose() -> set[str]:
    """The words of which sentences are made: those that the sources of facts write, and the system's errors."""
    import ast
    import pkgutil

    found = {word for number in errno.errorcode for word in _words(os.strerror(number))} | set(_words(_SERVER))
    # Not by the directory: the package may lie in a zip.
    for module in pkgutil.walk_packages(collect.__path__, f"{collect.__name__}."):
        spec = module.module_finder.find_spec(module.name, None)
        tree = ast.parse(spec.loader.get_source(module.name))  # type: ignore[union-attr]
        # Not what is no value: a docstring may tell of somebody as an example.
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                found.update(_words(node.value))
    return found


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_](?:\w*[^\W_])?", text)
