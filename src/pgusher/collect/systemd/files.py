"""Unit files: their syntax, and where they are looked for. systemd.syntax(7), systemd.unit(5)."""

from __future__ import annotations

from collections.abc import Iterator

from pgusher.model.text import decode

SYSTEM = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)
"""The directories of the system's units, first found first."""

TRANSIENT = "/run/systemd/transient"


def user_directories(uid: int, home: str | None) -> tuple[str, ...]:
    """The directories of a user's own units, first found first."""
    run = f"/run/user/{uid}/systemd"
    config = (f"{home}/.config/systemd/user.control",) if home else ()
    own = (f"{home}/.config/systemd/user",) if home else ()
    data = (f"{home}/.local/share/systemd/user",) if home else ()
    return (
        *config,
        f"{run}/user.control",
        f"{run}/transient",
        f"{run}/generator.early",
        *own,
        "/etc/systemd/user",
        f"{run}/user",
        "/run/systemd/user",
        f"{run}/generator",
        *data,
        "/usr/local/share/systemd/user",
        "/usr/share/systemd/user",
        "/usr/local/lib/systemd/user",
        "/usr/lib/systemd/user",
        "/lib/systemd/user",
        f"{run}/generator.late",
    )


def parse(raw: bytes) -> dict[tuple[str, str], str]:
    """The settings by section and name; of several assignments the last counts. "" is one that was taken back."""
    settings: dict[tuple[str, str], str] = {}
    section = ""
    for line in _lines(raw):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        name, equals, value = line.partition("=")
        if not equals or not section:
            continue
        settings[section, name.strip()] = value.strip()
    return settings


def _lines(raw: bytes) -> Iterator[str]:
    """The logical lines: a backslash at the end joins the next one by a blank; comments in between are passed over."""
    held: list[str] = []
    for physical in decode(raw).split("\n"):
        line = physical.strip() if not held else physical.rstrip()
        if line.lstrip().startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            held.append(line[:-1])
            continue
        if held:
            yield " ".join([*held, line.strip()]).strip()
            held = []
        elif line:
            yield line
    if held:
        yield " ".join(held).strip()
