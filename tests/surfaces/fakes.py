"""A stand-in for `pgusher.app`: it shows what it was given, and remembers what it was asked for."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pgusher.app.config import Config
from pgusher.app.request import Request
from pgusher.errors import SnapshotError
from pgusher.model.evidence import Gap
from pgusher.model.findings import Diagnosis, Severity
from pgusher.model.snapshot import Snapshot
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.main import main
from pgusher.surfaces.cli.output import Output


@dataclass(frozen=True)
class Look:
    """As `pgusher.app.look.Look`, without what that imports."""

    snapshots: tuple[Snapshot, ...]
    elapsed_ms: float = 12.0
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class Check:
    name: str
    sight: str
    fact: str
    why: str = ""
    opens: str = ""


CHECKS = (
    Check("server processes", "sees", "31 processes of 1 server, by /proc"),
    Check("sessions by SQL", "sees", "as monitor, member of pg_monitor, through an ordinary slot"),
    Check(
        "client sockets",
        "partly",
        "17 of 100 sessions lead to a uid only",
        "the open files of 9 processes of root may not be read",
        "sudo pgusher",
    ),
    Check("crontabs", "blind", "/var/spool/cron/crontabs", "permission denied", "sudo pgusher"),
)


@dataclass(frozen=True)
class Rule:
    name: str
    severity: Severity
    summary: str


RULES = (
    Rule("idle-in-transaction", Severity.WARNING, "a session waits inside a transaction for its client"),
    Rule("no-idle-timeout", Severity.NOTE, "nothing ends a session that is idle for ever"),
    Rule("stuck-job", Severity.CRITICAL, "a run of a cron job is older than its schedule explains"),
)


class FakeApp:
    """Gives the looks one after the other; an exception among them is raised."""

    def __init__(self, *looks: Look | BaseException, checks: tuple[Check, ...] = CHECKS) -> None:
        self.looks: list[Look | BaseException] = list(looks)
        self.checks = checks
        self.requests: list[Request] = []
        self.saved: dict[str, Any] = {}
        self.files: dict[str, Any] = {}
        self.closed = 0
        self.diagnoses: dict[int, Diagnosis] = {}
        """What is found, by the server's port."""
        self.earlier: list[Any] = []
        self.reports: dict[str, tuple[Any, dict[str, Any], bool]] = {}
        self.choose: Any = None
        self.freeing: Any = None
        """What stands in for `pgusher.app.free.Free`."""
        self.sample = 0.0
        self.config_path: str | None = None
        self.configuration = Config()

    def config(self, path: str | None) -> Config:
        self.config_path = path
        return self.configuration

    def looker(self, request: Request) -> Any:
        self.requests.append(request)
        return self

    def look(self) -> Any:
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, BaseException):
            raise found
        return found

    def close(self) -> None:
        self.closed += 1

    def deep_looker(self, request: Request, choose: Any, sample: float = 1.0) -> Any:
        self.requests.append(request)
        self.sample = sample
        self.choose = choose
        return self

    def diagnose(self, look: Any, config: Config, earlier: Any = None) -> tuple[Diagnosis, ...]:  # noqa: ARG002 - as App
        self.earlier.append(earlier)
        return tuple(self.diagnoses.get(s.facts.server.port, Diagnosis()) for s in look.snapshots)

    def unchanged(self, look: Any, before: Any) -> bool:
        from pgusher.app.why import unchanged

        return unchanged(look, before)

    def redacted(self, look: Any) -> Any:
        from pgusher.app.report import redacted

        return redacted(look)

    def write_report(self, path: str, look: Any, data: dict[str, Any], force: bool) -> int:
        self.reports[path] = (look, data, force)
        return 1234

    def rule_names(self) -> tuple[str, ...]:
        return tuple(rule.name for rule in RULES)

    def rules(self) -> Any:
        return RULES

    def page(self, rule: str) -> str:
        return f"# {rule}\n\nIt says `why`, and **what** to do.\n"

    def free(self, request: Request) -> Any:
        self.requests.append(request)
        return self.freeing

    def plans(self) -> Any:
        return self.freeing.store

    def served(self, request: Request, *_: Any, **__: Any) -> Any:
        self.requests.append(request)
        return self.freeing

    def with_grafana(self, look: Any, asked: Any) -> Any:
        assert asked is None
        return look

    def budgets(self, look: Any, config: Config, *, history: bool = True) -> Any:
        from pgusher.app.budget import sheets

        del history  # that of the jobs of whoever runs the tests is no matter of theirs
        return sheets(look, config, history=False)

    def sizes(self, look: Any) -> Any:
        from pgusher.app.budget import sizes

        return sizes(look)

    def proposals(self, look: Any, sheets: Any) -> Any:
        from pgusher.app.budget import proposals

        return proposals(look, sheets)

    def budget_of_files(self, config: Config, most: int, reserved: int, grafana: Any, pgbouncer: Any) -> Any:
        from pgusher.app.budget import of_files

        return of_files(config, most, reserved, grafana=grafana, pgbouncer=pgbouncer)

    def examine(self, request: Request) -> Any:
        self.requests.append(request)
        return self.checks

    def save(self, path: str, look: Any) -> None:
        self.saved[path] = look

    def saved_text(self, look: Any) -> str:
        from pgusher.app.store import text

        return text(look)

    def read(self, path: str) -> Any:
        if path not in self.files:
            raise SnapshotError(f"{path}: could not be read: no such file or directory")
        return self.files[path]


class Stream(io.StringIO):
    """A stream that may be a terminal, in an encoding of choice."""

    def __init__(self, terminal: bool = False, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal = terminal
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        text.encode(self._encoding)  # as a real stream: what cannot be written raises
        return super().write(text)


@dataclass
class Result:
    code: int
    out: str
    err: str
    app: FakeApp


@dataclass
class Shell:
    """Runs command lines against a fake app, with a clock that only `sleep` moves."""

    app: FakeApp
    terminal: bool = False
    environ: dict[str, str] = field(default_factory=lambda: {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"})
    encoding: str = "utf-8"
    on_sleep: Callable[[int], None] = lambda _: None
    slept: list[float] = field(default_factory=list)

    def run(self, *words: str) -> Result:
        out, err = Stream(self.terminal, self.encoding), Stream(self.terminal, self.encoding)
        now = [0.0]

        def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            now[0] += seconds
            self.on_sleep(len(self.slept))

        streams = Output(out, self.environ), Output(err, self.environ)
        context = Context(self.app, streams, self.environ, lambda: now[0], sleep, "pgusher")
        code = main(list(words), context)
        return Result(code, out.getvalue(), err.getvalue(), self.app)


def shell(*snapshots: Snapshot, **kinds: Any) -> Shell:
    """A shell whose pgusher sees these servers."""
    return Shell(FakeApp(Look(tuple(snapshots))), **kinds)


def texts(snapshot: Snapshot) -> Iterable[str]:
    """All texts of the sessions, to look for in outputs."""
    for session in snapshot.facts.sessions:
        yield from filter(None, (session.user, session.database, session.application_name, session.query))


def renamed(snapshot: Snapshot, old: str, new: str) -> Snapshot:
    """The same with one holder under another name."""
    holders = tuple(replace(h, name=new) if h.name == old else h for h in snapshot.holders)
    chains = tuple(replace(c, holder=new) if c.holder == old else c for c in snapshot.chains)
    return replace(snapshot, holders=holders, chains=chains)
