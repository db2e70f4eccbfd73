"""The figures of pools in Prometheus' text format. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pgusher.client.stats import BOUNDS_MS

_GAUGES = (
    ("pool_size", "pgusher_pool_sessions", "Sessions that the pool has now, lent and idle.", 1.0),
    ("pool_available", "pgusher_pool_idle_sessions", "Sessions that are idle now.", 1.0),
    ("pool_max", "pgusher_pool_max_sessions", "Sessions that it may have.", 1.0),
    ("requests_waiting", "pgusher_pool_waiting", "Callers that wait in line now.", 1.0),
    ("loans_out", "pgusher_pool_loans", "Sessions that are lent now.", 1.0),
    ("loans_oldest_ms", "pgusher_pool_oldest_loan_seconds", "Age of the oldest loan; 0 when none is out.", 1000.0),
)
_COUNTERS = (
    ("requests_num", "pgusher_pool_requests_total", "Loans that were asked for."),
    ("requests_timeouts", "pgusher_pool_timeouts_total", "Callers whose time was up before there was a session."),
    ("requests_errors", "pgusher_pool_errors_total", "Callers that got no session, for whatever reason."),
    ("connections_num", "pgusher_pool_connects_total", "Connects that were begun."),
    ("connections_errors", "pgusher_pool_connect_errors_total", "Connects that failed, for whatever reason."),
    ("connections_refused", "pgusher_pool_refusals_total", "Connects that a full server refused."),
    ("connections_lost", "pgusher_pool_lost_sessions_total", "Sessions that were found broken."),
    ("loans_long", "pgusher_pool_long_loans_total", "Loans that were told because of their age."),
    ("loans_reclaimed", "pgusher_pool_leaks_reclaimed_total", "Loans whose thread or task had ended."),
    ("loans_forgotten", "pgusher_pool_leaks_forgotten_total", "Loans that nobody had any more."),
)
_WAITS = "pgusher_pool_wait_seconds"


def exposition(figures: Iterable[tuple[str, Mapping[str, int]]]) -> str:
    """The figures of several pools, each under the name of its database. Those of one name are added up."""
    pools: dict[str, dict[str, int]] = {}
    for name, found in figures:
        sums = pools.setdefault(name, {})
        for key, value in found.items():
            sums[key] = max(sums.get(key, 0), value) if key == "loans_oldest_ms" else sums.get(key, 0) + value
    named = [(_escaped(name), found) for name, found in sorted(pools.items())]
    lines: list[str] = []
    for key, metric, text, divisor in _GAUGES:
        lines += _head(metric, text, "gauge")
        lines += [f'{metric}{{database="{name}"}} {found.get(key, 0) / divisor:g}' for name, found in named]
    for key, metric, text in _COUNTERS:
        lines += _head(metric, text, "counter")
        lines += [f'{metric}{{database="{name}"}} {found.get(key, 0)}' for name, found in named]
    return "\n".join([*lines, *_waits(named)]) + "\n"


def _waits(named: Sequence[tuple[str, Mapping[str, int]]]) -> list[str]:
    lines = _head(_WAITS, "How long callers waited for a session.", "histogram")
    for name, found in named:
        for bound in BOUNDS_MS:
            count = found.get(f"waits_le_{bound}ms", 0)
            lines.append(f'{_WAITS}_bucket{{database="{name}",le="{bound / 1000:g}"}} {count}')
        total = found.get("waits", 0)
        lines.append(f'{_WAITS}_bucket{{database="{name}",le="+Inf"}} {total}')
        lines.append(f'{_WAITS}_sum{{database="{name}"}} {found.get("requests_wait_ms", 0) / 1000:g}')
        lines.append(f'{_WAITS}_count{{database="{name}"}} {total}')
    return lines


def _head(metric: str, text: str, kind: str) -> list[str]:
    return [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}"]


def _escaped(name: str) -> str:
    """As the format has it: backslash, quotation mark and line feed (source: Prometheus, "Exposition formats")."""
    return name.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
