"""What a command works with: the streams, the clock and the use cases. Tests give their own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pgusher.surfaces.cli.output import Output, real
from pgusher.surfaces.render.shell import quote

if TYPE_CHECKING:
    from pgusher.app.config import Config
    from pgusher.app.free import Free
    from pgusher.app.free_store import PlanStore
    from pgusher.app.look import Look
    from pgusher.app.request import Request
    from pgusher.collect.grafana.client import Access
    from pgusher.model.budget import Sheet
    from pgusher.model.findings import Diagnosis
    from pgusher.model.proposal import Proposal, Size
    from pgusher.model.snapshot import Snapshot
    from pgusher.surfaces.render.doctor import Check
    from pgusher.surfaces.render.rules import Rule


Choose = Callable[["Snapshot"], "frozenset[int] | None"]
"""The processes of a snapshot whose threads are to be looked at."""


class Looks(Protocol):
    """What looks at servers, and holds one connection between two looks."""

    def look(self) -> Look:
        """One look. Raises UnreachableError when nothing at all could be seen."""

    def close(self) -> None:
        """Gives the connection back."""


class App(Protocol):
    """The use cases, as `pgusher.app` has them."""

    def config(self, path: str | None) -> Config:
        """The configuration. Raises ConfigError."""

    def looker(self, request: Request) -> Looks:
        """What will look."""

    def deep_looker(self, request: Request, choose: Choose, sample: float = 1.0) -> Looks:
        """What will look at threads, too, for `sample` seconds. `choose` says of which processes; None leaves that."""

    def examine(self, request: Request) -> tuple[Check, ...]:
        """What pgusher can see here."""

    def save(self, path: str, look: Look) -> None:
        """Writes a snapshot file. Raises PgusherError."""

    def saved_text(self, look: Look) -> str:
        """What would be in it."""

    def read(self, path: str) -> Look:
        """Reads one. Raises SnapshotError."""

    def redacted(self, look: Look) -> tuple[Look, dict[str, int]]:
        """The look by other names, and how many of each kind were replaced."""

    def write_report(self, path: str, look: Look, data: dict[str, Any], force: bool) -> int:
        """Writes a report with the look in it; its size in bytes. Raises PgusherError, also when the file exists."""

    def diagnose(self, look: Look, config: Config, earlier: Look | None = None) -> tuple[Diagnosis, ...]:
        """What the rules find, for each snapshot of the look. Raises ConfigError for names of no rule."""

    def unchanged(self, look: Look, before: Look) -> bool:
        """Whether nothing but time has passed between two looks of a watch."""

    def rule_names(self) -> tuple[str, ...]:
        """The names of all rules; none of them is loaded."""

    def rules(self) -> Sequence[Rule]:
        """All rules."""

    def page(self, rule: str) -> str:
        """The page of a rule. Raises PgusherError."""

    def free(self, request: Request) -> Free:
        """What plans and applies plans."""

    def budgets(self, look: Look, config: Config, *, history: bool = True) -> tuple[Sheet, ...]:
        """The budget of each server of the look."""

    def with_grafana(self, look: Look, asked: Access | None) -> Look:
        """The look with all Grafanas of this host, and the named one as its API tells of it."""

    def sizes(self, look: Look) -> tuple[tuple[Size, ...], tuple[str, ...]]:
        """The pools of our own with what they used, and the holders of which nothing is measured."""

    def proposals(self, look: Look, sheets: Sequence[Sheet]) -> tuple[Proposal, ...]:
        """What would fit, for each server whose ceilings are known."""

    def budget_of_files(
        self, config: Config, most: int, reserved: int, grafana: Sequence[str], pgbouncer: Sequence[str]
    ) -> Sheet:
        """The budget by what files say. Raises ConfigError, and UsageError when nothing says anything."""

    def plans(self) -> PlanStore:
        """The plans of whoever runs this."""

    def served(self, request: Request, every: float, options: Sequence[str], allow_actions: bool, **keep: Any) -> Any:
        """What a screen or a web page is made of; `keep` as pgusher.app.served.Keep has it."""


class RealApp:
    """`pgusher.app`, each part imported when it is needed."""

    def config(self, path: str | None) -> Config:
        """As App."""
        from pgusher.app.config import load

        return load(path)

    def looker(self, request: Request) -> Looks:
        """As App."""
        from pgusher.app.look import Looker

        return Looker(request)

    def deep_looker(self, request: Request, choose: Choose, sample: float = 1.0) -> Looks:
        """As App."""
        from pgusher.app.deep import DeepLooker

        return DeepLooker(request, choose, sample=sample)

    def examine(self, request: Request) -> tuple[Check, ...]:
        """As App."""
        from pgusher.app.doctor import examine

        return examine(request)

    def save(self, path: str, look: Look) -> None:
        """As App."""
        from pgusher.app.store import save

        save(path, look)

    def saved_text(self, look: Look) -> str:
        """As App."""
        from pgusher.app.store import text

        return text(look)

    def read(self, path: str) -> Look:
        """As App."""
        from pgusher.app.store import read

        return read(path)

    def redacted(self, look: Look) -> tuple[Look, dict[str, int]]:
        """As App."""
        from pgusher.app.report import redacted

        return redacted(look)

    def write_report(self, path: str, look: Look, data: dict[str, Any], force: bool) -> int:
        """As App."""
        from pgusher.app.store import REPORT, SCHEMA, dumped, write

        whole = {"kind": REPORT, "schema": SCHEMA, **data, "snapshot": dumped(look)}
        return write(path, whole, "report", force=force)

    def diagnose(self, look: Look, config: Config, earlier: Look | None = None) -> tuple[Diagnosis, ...]:
        """As App."""
        from pgusher.app.why import diagnose

        return diagnose(look, config, earlier)

    def unchanged(self, look: Look, before: Look) -> bool:
        """As App."""
        from pgusher.app.why import unchanged

        return unchanged(look, before)

    def rule_names(self) -> tuple[str, ...]:
        """As App."""
        from pgusher.diagnose.engine import names

        return names()

    def rules(self) -> Sequence[Rule]:
        """As App."""
        from pgusher.diagnose.engine import rules

        return rules()

    def page(self, rule: str) -> str:
        """As App."""
        from pgusher.app.why import page

        return page(rule)

    def free(self, request: Request) -> Free:
        """As App."""
        from pgusher.app.free import Free

        return Free(request)

    def budgets(self, look: Look, config: Config, *, history: bool = True) -> tuple[Sheet, ...]:
        """As App."""
        from pgusher.app.budget import sheets

        return sheets(look, config, history=history)

    def with_grafana(self, look: Look, asked: Access | None) -> Look:
        """As App."""
        from pgusher.app.budget import with_grafana

        return with_grafana(look, asked)

    def sizes(self, look: Look) -> tuple[tuple[Size, ...], tuple[str, ...]]:
        """As App."""
        from pgusher.app.budget import sizes

        return sizes(look)

    def proposals(self, look: Look, sheets: Sequence[Sheet]) -> tuple[Proposal, ...]:
        """As App."""
        from pgusher.app.budget import proposals

        return proposals(look, sheets)

    def budget_of_files(
        self, config: Config, most: int, reserved: int, grafana: Sequence[str], pgbouncer: Sequence[str]
    ) -> Sheet:
        """As App."""
        from pgusher.app.budget import of_files

        return of_files(config, most, reserved, grafana=grafana, pgbouncer=pgbouncer)

    def plans(self) -> PlanStore:
        """As App."""
        from pgusher.app.free_store import PlanStore

        return PlanStore()

    def served(self, request: Request, every: float, options: Sequence[str], allow_actions: bool, **keep: Any) -> Any:
        """As App."""
        from pgusher.app.served import Keep, Served
        from pgusher.model.values import replace

        # Every third second or so, as a watch: sockets and processes change with the sessions.
        request = replace(request, patience=2.9)
        return Served(request, every=every, options=options, allow_actions=allow_actions, keep=Keep(**keep))


class Context:
    """One run of the command line."""

    def __init__(
        self,
        app: App | None = None,
        streams: tuple[Output, Output] | None = None,
        environ: Mapping[str, str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        program: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.environ = os.environ if environ is None else environ
        self.out, self.err = streams or real(self.environ)
        self.app: App = app or RealApp()
        self.program = program or _program(sys.argv[0])
        """How root calls this very pgusher: a virtual environment's is not where sudo looks."""
        self.monotonic = monotonic
        self.sleep = sleep
        self.clock = clock

    def narrate(self, text: str) -> None:
        """One line on standard error, harmless; lost if nobody listens there."""
        screen = self.err.screen("never")
        self.err.write("".join(screen.text(line) + "\n" for line in text.split("\n")))


_SECURE = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
"""Where sudo looks for programs (secure_path, as Debian and Ubuntu set it)."""


def _program(argv0: str) -> str:
    """The words that start this pgusher from anywhere."""
    if os.path.basename(argv0) == "__main__.py":
        return f"{quote(sys.executable)} -m pgusher"
    found = os.path.isabs(argv0) and os.path.dirname(argv0) not in _SECURE
    return quote(argv0) if found else "pgusher"
