"""The rules, one in each module, with its page beside it."""

from __future__ import annotations

# Written out, as looking for them costs a twentieth of a cold command and fails in an archive. A test compares.
MODULES = (
    "above_budget",
    "blocked_by_idle",
    "connection_churn",
    "daily_peak",
    "dead_thread_holds_slots",
    "forgotten_session",
    "fork_shared_socket",
    "grafana_default_limit",
    "grafana_endless_sessions",
    "grafana_idle_hoard",
    "grafana_own_pool_unlimited",
    "grafana_same_server_twice",
    "grafana_sources_exceed_slots",
    "half_blind",
    "idle_in_transaction",
    "idle_pool_oversized",
    "invisible_sessions",
    "leaking_slots",
    "monitor_crowd",
    "nameless_sessions",
    "no_idle_timeout",
    "one_holder_takes_all",
    "orphaned_session",
    "overlapping_runs",
    "pools_exceed_slots",
    "reserved_slots_used",
    "role_limit_reached",
    "slots_exhausted",
    "slots_running_out",
    "stuck_job",
)
"""The names of the modules, in their order."""
