"""From findings to an exit code: what --fail-on and --format ask for."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.findings import Severity
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Values
from pgusher.surfaces.render.diagnosed import Diagnosed
from pgusher.surfaces.render.tally import blind, tally

UNREACHABLE = 3


def fail_on(values: Values) -> Severity | None:
    """From which severity on a finding counts; None for never."""
    return None if values["fail_on"] == "never" else Severity(values["fail_on"])


def judged(values: Values, servers: Sequence[Diagnosed]) -> int:
    """1 when a finding counts, or a server is full where that was not to be overlooked; else 0."""
    least = fail_on(values)
    if least is None:
        return 0
    found = any(f.severity.rank <= least.rank for one in servers for f in one.diagnosis.findings)
    # Also when the rule about it is on the ignore list: who asks for the state is told it.
    if found or any(tally(one.snapshot).status.finding for one in servers if one.names is None):
        return 1
    return UNREACHABLE if servers and all(blind(one.snapshot) for one in servers) else 0


def print_nagios(values: Values, context: Context, servers: Sequence[Diagnosed]) -> int:
    """One line, and the exit code that Nagios understands."""
    from pgusher.surfaces.render.nagios import nagios

    line, code = nagios(servers, fail_on(values))
    context.out.write(line + "\n")
    return code
