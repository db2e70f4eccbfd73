"""Which instance of a known program it is: the application, the service, the subcommand."""

from __future__ import annotations

import re
from collections.abc import Callable

from pgusher.attribute.command import Command
from pgusher.attribute.shell import basename
from pgusher.model.pattern import pattern

_APP = pattern(r"[A-Za-z_][\w.]*(?::[A-Za-z_][\w.]*(?:\(.*\))?)?")
_BRACKETS = pattern(r"\[([^\]]*)\]")


def application(command: Command) -> str:
    """`orders` of "gunicorn -w 4 orders.wsgi:application": the import path that a Python web server was given."""
    if command.title:
        found = _BRACKETS.findall(command.title)
        return shorter(found[-1]) if found else ""
    return next((shorter(word) for word in command.args if ":" in word and _APP.fullmatch(word)), "")


def shorter(path: str) -> str:
    """`orders` of orders.wsgi:application, `app.main` of app.main:app."""
    module = path.partition(":")[0].strip()
    head, _, last = module.rpartition(".")
    return head if head and last in {"wsgi", "asgi"} else module


def celery(command: Command) -> str:
    """`shop` of "celery -A shop worker", `shop:beat` of "celery -A shop beat"."""
    words = command.args
    app = _option(words, "-A", "--app")
    role = next((word for word in words if word in {"worker", "beat", "flower", "multi", "events"}), "")
    if command.title:
        inside = re.search(r"\((.*)\)", command.title)
        words = tuple(inside.group(1).split()) if inside else ()
        app = _option(words, "-A", "--app")
        role = "beat" if "beat" in command.title.split("]")[0] else ""
    return ":".join(part for part in (app.partition(":")[0], "" if role == "worker" else role) if part)


def first(command: Command) -> str:
    """The first word behind the program that is no option: `scheduler` of "airflow scheduler"."""
    words = command.title.split()[1:] if command.title else command.args
    return next((word for word in words if not word.startswith("-")), "")


def airflow(command: Command) -> str:
    """`scheduler` of "airflow scheduler"; `webserver` of its own "gunicorn: master [airflow-webserver]"."""
    found = _BRACKETS.findall(command.title)
    return found[-1].removeprefix("airflow-") if command.title.startswith("gunicorn") and found else first(command)


def last_path(command: Command) -> str:
    """The directory that a supervisor was given: `orders` of "runsv orders"."""
    return basename(next((word.rstrip("/") for word in command.args if not word.startswith("-")), ""))


def tag(command: Command) -> str:
    """`app` of "puma 6.4.0 (tcp://0.0.0.0:3000) [app]"; not sidekiq's count "[0 of 5 busy]"."""
    found = [text for text in _BRACKETS.findall(command.title) if " " not in text]
    return found[-1] if found else ""


def pool(command: Command) -> str:
    """`www` of "php-fpm: pool www"."""
    match = re.search(r"pool (\S+)", command.title)
    return match.group(1) if match else ""


def role(command: Command) -> str:
    """`walreceiver` of "postgres: walreceiver streaming 0/3000148"; of a client's backend, nothing."""
    words = command.title.removeprefix("postgres:").split()
    named = {"walreceiver", "logical", "pg_cron", "autovacuum", "walsender", "startup", "checkpointer"}
    return words[0] if words and words[0] in named else ""


def second_word(command: Command) -> str:
    """`orders` of "sidekiq 7.2.0 orders [0 of 10 busy]"; not its queues."""
    words = command.title.split()
    return words[2] if len(words) > 2 and re.fullmatch(r"[\w.-]+", words[2]) else ""


def class_name(command: Command) -> str:
    """The jar without its version: `orders` of "java -jar /srv/orders-1.4.2.jar"."""
    return re.sub(r"(?:-\d[\w.]*)?(?:-SNAPSHOT)?\.[jw]ar$", "", basename(command.target)) if command.target else ""


LABELS: dict[str, Callable[[Command], str]] = {
    "application": application,
    "celery": celery,
    "first": first,
    "airflow": airflow,
    "last_path": last_path,
    "tag": tag,
    "pool": pool,
    "role": role,
    "second_word": second_word,
    "class_name": class_name,
}


def _option(words: tuple[str, ...], *names: str) -> str:
    for place, word in enumerate(words):
        if word in names and place + 1 < len(words):
            return words[place + 1]
        for name in names:
            if word.startswith(f"{name}=") or (len(name) == 2 and word.startswith(name) and len(word) > 2):
                return word[len(name) :].removeprefix("=")
    return ""
