"""`pgusher serve`: the seat map as a page, its data and its metrics."""

from __future__ import annotations

import os
import sys
from typing import Any

from pgusher.errors import PgusherError, UsageError
from pgusher.surfaces.cli.common import CONNECTION, GENERAL, repeat, request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Command, Option, Values, number
from pgusher.surfaces.cli.staying import stays
from pgusher.surfaces.render.shell import quote

_PORT = 8432
INTERRUPTED = 130
_EVERY = {"0.0.0.0", "::"}  # noqa: S104 - what stands for every address is compared with, not listened at


def run(values: Values, context: Context) -> int:
    """Serves until SIGTERM (exit code 0) or Ctrl-C (130); 2 for what cannot be served so."""
    if values["install_systemd"]:
        from pgusher.surfaces.render.unit import unit_text

        context.out.write(unit_text(_command(values, context), values["allow_actions"], _writes(values, context)))
        return 0
    if values["print"] is not None:
        _print(values["print"], context)
        return 0
    address, port = values["listen"]
    certificate = _certificate(values)
    try:
        from pgusher.surfaces.web import server
        from pgusher.surfaces.web.token import default_path, read_or_make
    except ImportError as error:
        raise PgusherError(
            f"the page needs a package that is not installed: {error.name}",
            hint="install it: pip install 'pgusher[serve]'",
        ) from None
    if not server.is_loopback(address) and certificate is None:
        raise UsageError(
            f"the page would be open to the network at {address} without TLS",
            hint="give --tls-cert FILE --tls-key FILE, or leave it at 127.0.0.1 and reach it by ssh -L",
        )
    path = values["token_file"] or default_path(context.environ)
    token = read_or_make(path)
    request = request_of(values, context.app.config(values["config"]), panels=True)
    listener = server.bind(address, port)
    names = [*values["name"], address] if address not in _EVERY else [*values["name"]]
    if server.is_loopback(address):
        names += ["127.0.0.1", "localhost", "::1"]
    if not names:
        raise UsageError(f"{address} is every address", hint="say by which name it is called: --name HOST")
    scheme = "https" if certificate else "http"
    shown = f"[{names[0]}]" if ":" in names[0] else names[0]
    place = f"{scheme}://{shown}:{listener.getsockname()[1]}/"
    served = context.app.served(
        request, values["every"], connection_words(values), values["allow_actions"],
        store=values["store"], record=values["record"], alert=_ways(values), narrate=context.narrate,
    )  # fmt: skip

    def ready() -> None:
        context.out.write(f"{place}?token={token}\n")
        told = f"it looks every {values['every']:g} s, Ctrl-C ends it; the token is in {path}"
        context.narrate(told if not values["allow_actions"] else f"{told}; its pages may act")

    stays()
    otel = None
    try:
        served.live.start()
        if values["otel"] is not None:
            otel = _otel(values["otel"], served, context)
        interrupted = server.serve(
            served, token, listener, names, certificate=certificate, repeat=repeat(values), ready=ready
        )
    finally:
        listener.close()
        if otel is not None:
            otel.close()
        served.close()
    return INTERRUPTED if interrupted else 0


def _print(what: str, context: Context) -> None:
    """What goes into Prometheus or Grafana."""
    if what == "alerts":
        import pkgutil

        context.out.write((pkgutil.get_data("pgusher.surfaces.metrics", "data/pgusher-alerts.yml") or b"").decode())
        return
    import json

    from pgusher.surfaces.metrics.dashboard import dashboard

    context.out.write(json.dumps(dashboard(), indent=1) + "\n")


def _otel(endpoint: str | bool, served: Any, context: Context) -> Any:
    """What tells the metrics to OpenTelemetry."""
    try:
        from pgusher.surfaces.metrics.otel import Otel
    except ImportError as error:
        raise PgusherError(
            f"metrics by OTLP need a package that is not installed: {error.name}",
            hint="install it: pip install 'pgusher[serve,otel]'; without it /metrics is there",
        ) from None
    from pgusher.surfaces.web.samples import samples_of

    to = endpoint if isinstance(endpoint, str) else None
    return Otel(lambda: samples_of(served, served.live.newest()), to, narrate=context.narrate)


def _otlp(text: str) -> str:
    """Where metrics are told. Raises ValueError for what is no address."""
    from urllib.parse import urlsplit

    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address of OTLP over HTTP, as http://collector.example:4318")
    return text


def _ways(values: Values) -> Any:
    """How alerts are told; None: not at all."""
    given = [values[name] for name in ("alert_command", "alert_webhook", "alert_mail")]
    if given == [None, None, None]:
        return None
    from pgusher.app.alerting import Ways

    return Ways(*given)


def _webhook(text: str) -> str:
    from pgusher.app.alerting import web_address

    return web_address(text)


def _mail(text: str) -> str:
    from pgusher.app.alerting import mail_address

    return mail_address(text)


def _certificate(values: Values) -> tuple[str, str] | None:
    """Raises UsageError for one of the two without the other, or a file that cannot be read."""
    pair = values["tls_cert"], values["tls_key"]
    if pair == (None, None):
        return None
    if None in pair:
        raise UsageError("--tls-cert and --tls-key go together: one of them is missing")
    for path in pair:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(f"could not read {path}: {reason}") from None
    return pair


def connection_words(values: Values) -> list[str]:
    """The connection options as words, for the commands that a page asks for."""
    words: list[str] = []
    for option in CONNECTION:
        value = values[option.name]
        if value is True:
            words.append(option.flags[-1])
        elif value not in (None, False) and value != option.default:
            words.append(f"{next(flag for flag in option.flags if flag.startswith('--'))}={value}")
    return words


_FILES = {"tls_cert", "tls_key", "token_file"}


def _command(values: Values, context: Context) -> str:
    """How a service starts this very pgusher with these options."""
    config = {"config": os.path.abspath(values["config"])} if values["config"] is not None else {}
    connection = connection_words({**values, **config})
    words = [context.program if "/" in context.program else _whole(context), "serve", *connection]
    from pgusher.record.place import is_dsn

    address, port = values["listen"]
    words.append(f"--listen={address}:{port}")
    words.append(f"--every={values['every']:g}")
    for name in ("tls_cert", "tls_key", "token_file", "store", "alert_command", "alert_webhook", "alert_mail", "otel"):
        if (value := values[name]) is not None:
            flag = f"--{name.replace('_', '-')}"
            file = name in _FILES or (name == "store" and not is_dsn(value))
            words.append(flag if value is True else f"{flag}={os.path.abspath(value) if file else value}")
    words += ["--record"] if values["record"] else []
    words += [f"--name={name}" for name in values["name"]]
    if values["allow_actions"]:
        words.append("--allow-actions")
    return " ".join(quote(word) if " " not in words[0] or place else word for place, word in enumerate(words))


def _writes(values: Values, context: Context) -> list[str]:
    """The directories of what it makes, but for its own in /var/lib."""
    from pgusher.record.place import is_dsn

    store = (values["store"] or context.app.config(values["config"]).store) if values["record"] else None
    made = [path for path in (store, values["token_file"]) if path is not None and not is_dsn(path)]
    return list(dict.fromkeys(os.path.dirname(os.path.abspath(path)) for path in made))


def _whole(context: Context) -> str:
    import shutil

    return shutil.which(context.program) or f"{sys.executable} -m pgusher"


def _listen(text: str) -> tuple[str, int]:
    """ "127.0.0.1:8432", "[::1]:8432", "8432". Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or not 0 <= int(port[:6]) <= 65535 or (colon and not host):
        raise ValueError("ADDRESS:PORT, or a port: 127.0.0.1:8432")
    return (host.removeprefix("[").removesuffix("]") or "127.0.0.1"), int(port)


def _names(text: str) -> tuple[str, ...]:
    """ "db.example,db": how the host may be called. Raises ValueError."""
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    if not names or any(not all(c.isalnum() or c in "-._:" for c in name) for name in names):
        raise ValueError("names of this host by commas: db.example,db")
    return names


_WHERE, _MAY, _ALERTS = "Where to serve", "Who may do what", "Who is told"
_OPTIONS: tuple[Any, ...] = (
    Option("listen", ("-l", "--listen"), f"serve here (default 127.0.0.1:{_PORT}); 0 takes a free port", "ADDRESS:PORT",
           parse=_listen, default=("127.0.0.1", _PORT), group=_WHERE),
    Option("name", ("--name",), "how browsers may call this host beside the address: several by commas", "HOST",
           parse=_names, default=(), group=_WHERE),
    Option("tls_cert", ("--tls-cert",), "serve by TLS with this certificate", "FILE", group=_WHERE, files=True),
    Option("tls_key", ("--tls-key",), "and this key", "FILE", group=_WHERE, files=True),
    Option("every", ("--every",), "look every N seconds (default 2)", "N",
           parse=number(0.5, 3600, "seconds from 0.5 to 3600"), default=2.0, group="How to look"),
    Option("record", ("--record",), "keep what is seen, for /history and pgusher history", group="Memory",
           default=False),
    Option("store", ("--store",), "the store of pgusher record, if it is not the usual one: a file or DSN", "PLACE",
           group="Memory", files=True),
    Option("alert_command", ("--alert-command",), "run this when something goes wrong, and when it is over", "CMD",
           group=_ALERTS),
    Option("alert_webhook", ("--alert-webhook",), "post it as JSON to this address", "URL", parse=_webhook,
           group=_ALERTS),
    Option("alert_mail", ("--alert-mail",), "mail it to this address by the system's sendmail", "ADDRESS", parse=_mail,
           group=_ALERTS),
    Option("otel", ("--otel",), "tell the metrics by OTLP over HTTP: to URL, or as OTEL_EXPORTER_OTLP_ENDPOINT says",
           "URL", parse=_otlp, optional=True, group=_ALERTS),
    Option("token_file", ("--token-file",), "keep the token in FILE, and take it from there", "FILE", group=_MAY,
           files=True),
    Option("allow_actions", ("--allow-actions",), "let the page do the safe steps of a plan; else it only shows",
           group=_MAY, default=False),
    Option("print", ("--print",), "print alerts for Prometheus, or a dashboard for Grafana, and end", "WHAT",
           choices=("alerts", "dashboard"), group="General"),
    Option("install_systemd", ("--install-systemd",), "print a hardened unit that serves like this, and end",
           group="General", default=False),
)  # fmt: skip

COMMAND = Command(
    name="serve",
    summary="the seat map as a web page, with its data and Prometheus metrics",
    description=(
        "Looks at the servers every two seconds and serves a page for browsers: who sits where, since when, what is "
        "wrong, what to type; live, and whole without JavaScript too. The address that it prints has a token, without "
        "which nothing is shown. It listens on this host alone unless it is given a certificate, and only shows: with "
        "--allow-actions it does the safe steps of a plan that was shown. /metrics is for Prometheus, and each page "
        "is there as .json. It takes one slot. docs/serve.md tells all of it."
    ),
    options=CONNECTION + _OPTIONS + GENERAL,
    run=run,
    examples=(
        ("sudo pgusher serve", "serve the servers of this host; open the address that it prints"),
        ("pgusher serve --listen 0.0.0.0:8432 --name db.example --tls-cert c.pem --tls-key k.pem", "for others"),
        ("pgusher serve --print alerts > /etc/prometheus/pgusher-alerts.yml", "alerts for Prometheus"),
        ("pgusher serve --install-systemd > /etc/systemd/system/pgusher-serve.service", "as a service"),
    ),
)
