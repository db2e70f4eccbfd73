-- A second look, when locks.sql named somebody who was not in sessions.sql: it may just have come or gone.
copy (
    select a.pid
    from pg_catalog.pg_stat_activity a
) to stdout
