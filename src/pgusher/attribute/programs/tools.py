"""Known tools of persons, jobs and supervisors. Limits are from each project's own documentation."""

from __future__ import annotations

from pgusher.attribute.programs.kinds import Program, ProgramKind

_SHELL, _BACKUP, _TOOL, _MONITOR, _SUPERVISOR = (
    ProgramKind.SHELL,
    ProgramKind.BACKUP,
    ProgramKind.TOOL,
    ProgramKind.MONITOR,
    ProgramKind.SUPERVISOR,
)
_IDLE = "one each; ALTER ROLE ... SET idle_session_timeout ends forgotten ones (14+)"
_OWN = "what its programs open: the number of processes it keeps"

OWN = "pgusher"
"""This program: it is nobody's suspect, whoever runs it."""

PROGRAMS: tuple[Program, ...] = (
    Program("psql", "psql", _SHELL, _IDLE, exe=("psql",), says=("psql",)),
    Program("pgcli", "pgcli", _SHELL, _IDLE, script=("pgcli",), module=("pgcli",), says=("pgcli",)),
    Program("usql", "usql", _SHELL, _IDLE, exe=("usql",)),
    Program("pg_dump", "pg_dump", _BACKUP, "--jobs + 1 (default 1 in all)", exe=("pg_dump",), says=("pg_dump",)),
    Program(
        "pg_dumpall",
        "pg_dumpall",
        _BACKUP,
        "one, and one for the pg_dump that it runs",
        exe=("pg_dumpall",),
        says=("pg_dumpall",),
    ),
    Program("pg_restore", "pg_restore", _BACKUP, "--jobs (default 1)", exe=("pg_restore",), says=("pg_restore",)),
    Program(
        "pg_basebackup",
        "pg_basebackup",
        _BACKUP,
        "max_wal_senders: it takes walsenders, and no slot",
        exe=("pg_basebackup",),
        says=("pg_basebackup",),
    ),
    Program(
        "pg_receivewal",
        "pg_receivewal",
        _BACKUP,
        "max_wal_senders: it takes a walsender, and no slot",
        exe=("pg_receivewal", "pg_recvlogical"),
        says=("pg_receivewal", "pg_recvlogical"),
    ),
    Program(
        "pgbackrest", "pgBackRest", _BACKUP, "one for each PostgreSQL host", exe=("pgbackrest",), says=("pgBackRest",)
    ),
    Program(
        "barman",
        "Barman",
        _BACKUP,
        "a few for each server that it backs up; streaming takes a walsender",
        script=("barman",),
        module=("barman",),
        says=("barman",),
    ),
    Program("wal-g", "WAL-G", _BACKUP, "one while it pushes a backup", exe=("wal-g", "wal-g-pg")),
    Program("pgbench", "pgbench", _TOOL, "--client (default 1)", exe=("pgbench",), says=("pgbench",)),
    Program(
        "pg_maintenance",
        "PostgreSQL's maintenance programs",
        _TOOL,
        "--jobs (default 1)",
        exe=(
            "vacuumdb",
            "reindexdb",
            "clusterdb",
            "pg_amcheck",
            "pg_upgrade",
            "pg_rewind",
            "pg_repack",
            "pgcompacttable",
        ),
        says=("vacuumdb", "reindexdb", "clusterdb", "pg_amcheck", "pg_repack"),
    ),
    Program(
        "pgloader",
        "pgloader",
        _TOOL,
        "concurrency and workers in its command file",
        exe=("pgloader",),
        says=("pgloader",),
    ),
    Program("osm2pgsql", "osm2pgsql", _TOOL, "--number-processes", exe=("osm2pgsql",)),
    Program(
        "dbt", "dbt", _TOOL, "threads of the target in profiles.yml", script=("dbt",), module=("dbt",), says=("dbt",)
    ),
    Program("alembic", "Alembic", _TOOL, "one", script=("alembic",), module=("alembic",)),
    Program("flyway", "Flyway", _TOOL, "one or two", module=("org.flywaydb",), says=("Flyway",)),
    Program("liquibase", "Liquibase", _TOOL, "one", module=("liquibase",), says=("Liquibase",)),
    Program(
        "pg_activity",
        "pg_activity",
        _MONITOR,
        "one",
        script=("pg_activity",),
        module=("pgactivity",),
        says=("pg_activity",),
    ),
    Program("pgcenter", "pgCenter", _MONITOR, "one", exe=("pgcenter",)),
    Program("pg_top", "pg_top", _MONITOR, "one", exe=("pg_top",), says=("pg_top",)),
    Program(
        "check_postgres",
        "check_postgres",
        _TOOL,
        "one for each check that runs at the moment",
        script=("check_postgres.pl", "check_postgres"),
    ),
    Program(
        "check_pgactivity",
        "check_pgactivity",
        _TOOL,
        "one for each check that runs at the moment",
        script=("check_pgactivity",),
        says=("check_pgactivity",),
    ),
    Program("pgmetrics", "pgmetrics", _TOOL, "one", exe=("pgmetrics",), says=("pgmetrics",)),
    Program(
        OWN,
        "pgusher",
        _TOOL,
        "one for each server that it looks at",
        script=("pgusher", "pgusher.pyz"),
        module=("pgusher",),
        within=False,
        says=("pgusher",),
    ),
    Program(
        "supervisor",
        "supervisord",
        _SUPERVISOR,
        _OWN,
        script=("supervisord",),
        exe=("supervisord",),
        stop="supervisorctl stop its name (supervisorctl status shows it with its pid)",
    ),
    Program(
        "circus",
        "Circus",
        _SUPERVISOR,
        _OWN,
        script=("circusd",),
        stop="circusctl stop its name (circusctl status)",
    ),
    Program("runit", "runit", _SUPERVISOR, _OWN, exe=("runsv",), label="last_path", stop="sv stop {label}"),
    Program(
        "s6",
        "s6",
        _SUPERVISOR,
        _OWN,
        exe=("s6-supervise",),
        label="last_path",
        stop="s6-svc -d on the directory of {label}",
    ),
    Program(
        "daemontools",
        "daemontools",
        _SUPERVISOR,
        _OWN,
        exe=("supervise",),
        label="last_path",
        stop="svc -d on the directory of {label}",
    ),
    Program(
        "openrc",
        "OpenRC",
        _SUPERVISOR,
        _OWN,
        exe=("supervise-daemon",),
        label="last_path",
        stop="rc-service {label} stop",
    ),
    Program(
        "pm2",
        "PM2",
        _SUPERVISOR,
        _OWN,
        title=("PM2 v", "PM2 "),
        script=("pm2", "pm2-runtime"),
        stop="pm2 stop its name (pm2 list shows it with its pid)",
    ),
    Program(
        "foreman", "Foreman", _SUPERVISOR, _OWN, script=("foreman", "honcho"), title=("foreman: ",), stop="stop foreman"
    ),
)
