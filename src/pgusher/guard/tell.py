"""Who else is told what became of a run: a command, a web address, a file for Prometheus. Never the job's failure."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from pgusher.guard.records import Ended

if TYPE_CHECKING:
    from urllib.request import Request

_SECONDS = 10.0
_COMMAND_SECONDS = 60.0
_MOST = 10_000


def ping(url: str, body: str = "") -> str | None:
    """Ask for that address, with the text as its body where there is one; gives what went wrong."""
    from http.client import HTTPException
    from urllib.request import urlopen

    data = body.encode("utf-8", "backslashreplace")[:_MOST] if body else None
    try:
        request = request_to(url, data, "text/plain; charset=utf-8")
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - as above
            answer.read(1000)
    except (OSError, ValueError, HTTPException) as error:
        return _unreached(url, error)
    return None


def post(url: str, job: str, ended: Ended) -> str | None:
    """Send what became of a run as JSON; gives what went wrong."""
    import json
    from http.client import HTTPException
    from urllib.request import urlopen

    data = json.dumps(
        {
            "job": job, "run": ended.run, "ending": ended.ending, "exit": ended.exit, "started": ended.started,
            "duration": ended.duration, "evidence": list(ended.evidence),
        }
    ).encode()  # fmt: skip
    try:
        request = request_to(url, data, "application/json")
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - as above
            answer.read(1000)
    except (OSError, ValueError, HTTPException) as error:
        return _unreached(url, error)
    return None


def command(line: str, environ: Mapping[str, str], job: str, ended: Ended) -> str | None:
    """Run that line by the shell, with what became of the run in its environment and the evidence as its input."""
    known = {
        **environ,
        "PGUSHER_JOB": job,
        "PGUSHER_ENDING": ended.ending,
        "PGUSHER_EXIT": str(ended.exit),
        "PGUSHER_SECONDS": f"{ended.duration / 1e6:.1f}",
    }
    text = "".join(f"{line}\n" for line in ended.evidence).encode("utf-8", "backslashreplace")
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", line], env=known, input=text, stdout=2, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the command of --on-failure failed: {error}"
    return f"the command of --on-failure ended with exit code {done.returncode}" if done.returncode else None


def textfile(directory: str, job: str, ended: Ended) -> str | None:
    """Write the figures of a run for the node exporter's textfile collector; gives what went wrong."""
    label = f'{{job="{job}"}}'  # a name of letters, digits and . _ - only
    lines = []
    for short, what, value in (
        ("end_time_seconds", "When the last run ended.", ended.ended / 1e6),
        ("duration_seconds", "How long the last run took.", ended.duration / 1e6),
        ("exit_code", "Exit code of the last run.", ended.exit),
        ("success", "Whether the last run ended well.", int(ended.exit == 0)),
        ("peak_memory_bytes", "Memory of the last run at most.", ended.peak_memory or 0),
    ):
        name = f"pgusher_run_{short}"
        lines += [f"# HELP {name} {what}", f"# TYPE {name} gauge", f"{name}{label} {value:.15g}"]
    path = os.path.join(directory, f"pgusher_run_{job}.prom")
    try:
        # The collector reads whatever ends in .prom, at any moment: so it is never there by halves.
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
        os.replace(f"{path}.new", path)
    except OSError as error:
        return f"could not write {path}: {(error.strerror or str(error)).lower()}"
    return None


def web_address(text: str) -> str:
    """The address, if it is one. Raises ValueError: urllib would open files, too."""
    from urllib.parse import urlsplit

    if text.startswith(("https://", "http://")) and text.isascii() and all(character > " " for character in text):
        with suppress(ValueError):  # a port that is no number, a bracket that is not closed
            parts = urlsplit(text)
            if parts.hostname and (parts.port is None or parts.port):
                return text
    raise ValueError("an address that begins with https:// or http://, in ASCII")


def request_to(url: str, data: bytes | None, kind: str) -> Request:
    """With user and password of the address as the header that they mean: urllib takes them for the host's name."""
    from base64 import b64encode
    from urllib.parse import unquote_to_bytes, urlsplit
    from urllib.request import Request

    given, at, place = urlsplit(url).netloc.rpartition("@")
    if at:
        url = url.replace(f"{given}@{place}", place, 1)
    request = Request(url, data, {"User-Agent": "pgusher", "Content-Type": kind})  # noqa: S310 - checked by `web_address`
    if at:
        user, _, password = given.partition(":")
        word = b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password))
        request.add_unredirected_header("Authorization", f"Basic {word.decode()}")  # not for whom it redirects to
    return request


def _unreached(url: str, error: Exception) -> str:
    why = str(getattr(error, "reason", None) or error) or type(error).__name__
    return f"could not reach {_place(url)}: {' '.join(why.split())}".lower()


def _place(url: str) -> str:
    """Without what may be a secret: the path of a ping is one."""
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or "the address"
