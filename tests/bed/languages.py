"""A server that speaks another language: its messages, and the words for their severity too."""

from __future__ import annotations

import os
import subprocess

from pgusher.demo.binaries import Binaries, installations

SOURCES = "/usr/share/i18n/locales"
"""Debian's package `locales`: what a locale is made from."""


def translated(language: str) -> Binaries | None:
    """An installation that has its messages in this language ("de"); wheels have none."""
    for found in installations()[0]:
        name = f"postgres-{found.major}.mo"
        shares = (os.path.join(os.path.dirname(found.bin), "share", "locale"), "/usr/share/locale")
        if any(os.path.exists(os.path.join(share, language, "LC_MESSAGES", name)) for share in shares):
            return found
    return None


def why_not(locale: str) -> str:
    """Why no server can speak it here ("de_DE"); empty when one can."""
    if translated(locale.partition("_")[0]) is None:
        return f"no PostgreSQL here has its messages in {locale} (apt-get install postgresql-15)"
    if not os.path.exists(os.path.join(SOURCES, locale)):
        return f"the locale {locale} cannot be made (apt-get install locales)"
    return ""


def settings(locale: str, directory: str) -> dict[str, object]:
    """What to start a server with, so that it speaks it: the locale is made in our own directory, not in the system."""
    os.chmod(directory, 0o755)  # noqa: S103  # the server's account reads it
    name = f"{locale}.UTF-8"
    target = os.path.join(directory, name)
    if not os.path.exists(target):
        argv = ["localedef", "--no-archive", "-c", "-i", locale, "-f", "UTF-8", target]
        subprocess.run(argv, check=False, capture_output=True)
        assert os.path.exists(os.path.join(target, "LC_MESSAGES")), f"localedef did not make {name}"
        subprocess.run(["chmod", "-R", "a+rX", directory], check=True)
    return {"env": {"LOCPATH": directory}, "lc_messages": name}
