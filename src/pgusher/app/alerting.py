"""Telling alerts: to a command, a web address, by mail; in a thread of its own, so that no look waits for it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping

from pgusher.app.alerts import Alert, as_json, body, environment, subject
from pgusher.model.text import clean
from pgusher.model.values import dataclass

_SECONDS = 10.0
_COMMAND_SECONDS = 60.0
_WAITING = 100
"""Alerts that wait to be told; more are dropped, and that is said."""
_SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail")


@dataclass(frozen=True, slots=True)
class Ways:
    """How alerts are told; None: not so."""

    command: str | None = None
    """A line for the shell; it gets PGUSHER_ALERT_... in its environment, and the text as its input."""
    webhook: str | None = None
    """Gets JSON by POST."""
    mail: str | None = None
    """An address, by the sendmail of the system."""
    sendmail: str | None = None
    """Where that is, if not at one of the usual places."""

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return any((self.command, self.webhook, self.mail))


class Teller:
    """Tells alerts one after the other. What goes wrong is narrated, and ends nothing."""

    def __init__(self, ways: Ways, narrate: Callable[[str], None], environ: Mapping[str, str] | None = None) -> None:
        self._ways = ways
        self._narrate = narrate
        self._environ = os.environ if environ is None else environ
        self._queue: queue.Queue[Alert | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, name="pgusher-alerts", daemon=True)
        self._thread.start()

    def tell(self, alert: Alert) -> None:
        """Puts it into the line."""
        try:
            self._queue.put_nowait(alert)
        except queue.Full:
            self._narrate(f"an alert was dropped, {_WAITING} others wait: {clean(subject(alert))}")

    def close(self, within: float = _SECONDS) -> None:
        """Tells what waits, for so many seconds at most."""
        try:
            self._queue.put(None, timeout=within)
        except queue.Full:
            return
        self._thread.join(within)

    def _run(self) -> None:
        while (alert := self._queue.get()) is not None:
            for way in (self._by_command, self._by_webhook, self._by_mail):
                if (wrong := way(alert)) is not None:
                    self._narrate(f"an alert was not told: {clean(wrong)}")

    def _by_command(self, alert: Alert) -> str | None:
        line = self._ways.command
        if line is None:
            return None
        known = {name: text.replace("\0", "") for name, text in environment(alert).items()}
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", line],
                env={**self._environ, **known},
                input=body(alert).encode("utf-8", "backslashreplace"),
                stdout=subprocess.DEVNULL,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            return f"the command failed: {error}"
        return f"the command ended with {done.returncode}" if done.returncode else None

    def _by_webhook(self, alert: Alert) -> str | None:
        url = self._ways.webhook
        if url is None:
            return None
        from http.client import HTTPException  # late: who has no webhook does without
        from urllib.request import urlopen

        from pgusher.guard.tell import request_to

        try:
            request = request_to(url, json.dumps(as_json(alert)).encode(), "application/json")
            with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - its scheme was looked at
                answer.read(1000)
        except (OSError, ValueError, HTTPException) as error:  # what gets out of here ends the thread, and all telling
            # Without its path, which may be a secret.
            return f"could not reach the webhook: {getattr(error, 'reason', None) or error}"
        return None

    def _by_mail(self, alert: Alert) -> str | None:
        address = self._ways.mail
        if address is None:
            return None
        from email.message import EmailMessage  # late: as above

        message = EmailMessage()
        message["To"] = address
        message["Subject"] = clean(subject(alert)).encode("utf-8", "backslashreplace").decode()[:200]
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n".join(map(clean, body(alert).split("\n"))))
        program = self._ways.sendmail or next((path for path in _SENDMAIL if os.access(path, os.X_OK)), None)
        if program is None:
            return "there is no sendmail on this host"
        try:
            done = subprocess.run(
                [program, "-i", "--", address],
                input=message.as_bytes(),
                stdout=subprocess.DEVNULL,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"sendmail failed: {error}"
        return f"sendmail ended with {done.returncode}" if done.returncode else None


def web_address(text: str) -> str:
    """The address of a webhook. Raises ValueError."""
    from pgusher.guard.tell import web_address as checked

    return checked(text)


def mail_address(text: str) -> str:
    """An address of mail. Raises ValueError."""
    name, at, _ = text.partition("@")
    if not name or not at or any(character <= " " for character in text) or text.startswith("-"):
        raise ValueError("an address of mail: dba@example.org")
    return text
