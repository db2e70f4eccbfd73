"""What a role may not see: filled in where the process titles of a local server show it, and told where not."""

from __future__ import annotations

from pgusher.collect.boot import boot_time
from pgusher.collect.postgres import rows
from pgusher.model.evidence import Gap
from pgusher.model.server import Server
from pgusher.model.session import SeenBy, Session


def fill_in(
    sessions: list[Session], reader: rows.SessionReader, server: Server, cluster: str, proc: str
) -> list[Session]:
    """The sessions, with what is hidden or has no row in pg_stat_activity from the titles of a local server."""
    poor = reader.hidden or any(session.seen_by is SeenBy.LOCKS for session in sessions)
    if not poor or server.postmaster_pid is None:
        return sessions
    from pgusher.collect.postgres.backends import no_session, read_backends, with_title  # late: seldom needed
    from pgusher.collect.postgres.postmaster import inner_pid

    boot = boot_time(proc)
    found, _ = read_backends(server.postmaster_pid, proc, cluster)
    # By the pids that the server knows them by: other ones than ours when it runs in a container.
    backends = {inner_pid(backend.pid, proc): backend for backend in found}
    filled = []
    for session in sessions:
        backend = backends.get(session.pid)
        if backend is None or (session.state is not None and session.seen_by is not SeenBy.LOCKS):
            filled.append(session)
        elif not no_session(backend):
            filled.append(with_title(session, backend, boot))
    return filled


def gaps_of(own: rows.Self, reader: rows.SessionReader, sessions: list[Session]) -> list[Gap]:
    """What is still missing, with what would open it."""
    gaps = []
    if reader.hidden:
        bare = any(session.state is None and not session.own for session in sessions)
        gaps.append(
            Gap(
                "postgres",
                f"{'state, address, query' if bare else 'query'} and times of {reader.hidden} sessions of other roles",
                f"role {own.role} is not a member of pg_monitor",
                f"GRANT pg_monitor TO {quoted(own.role)}",
                reader.hidden,
            )
        )
    if not own.track_activities:
        gaps.append(
            Gap(
                "postgres",
                "state and query of the sessions",
                "track_activities is off",
                "ALTER SYSTEM SET track_activities = on; SELECT pg_reload_conf()",
            )
        )
    if reader.torn:
        gaps.append(Gap("postgres", f"{reader.torn} sessions", "the answer has another form", "", reader.torn))
    return gaps


def quoted(name: str) -> str:
    """A role's name as SQL takes it."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and name == name.lower() and not name[0].isdigit()
    return name if plain else '"' + name.replace('"', '""') + '"'
