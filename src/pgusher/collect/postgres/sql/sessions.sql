-- One row for each server process, those of its own too: who is here is not missed by locks.sql. date_part gives a double, which holds microseconds exactly
-- until the year 2255; extract would give a numeric from 14 on and cost the server a tenth more.
-- For other roles' sessions all but pid, user, database and application_name is null without pg_read_all_stats.
copy (
    select
        a.pid,
        (pg_catalog.date_part('epoch', a.backend_start) * 1000000)::pg_catalog.int8,
        a.backend_type,
        a.usename,
        a.datname,
        a.application_name,
        pg_catalog.host(a.client_addr),
        a.client_port,
        a.state,
        (pg_catalog.date_part('epoch', a.state_change) * 1000000)::pg_catalog.int8,
        (pg_catalog.date_part('epoch', a.query_start) * 1000000)::pg_catalog.int8,
        (pg_catalog.date_part('epoch', a.xact_start) * 1000000)::pg_catalog.int8,
        a.wait_event_type,
        a.wait_event,
        -- It takes every lock partition of the server exclusively for a moment: only for who waits.
        case when a.wait_event_type = 'Lock'
            then pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(a.pid), ' ') end,
        a.query
    from pg_catalog.pg_stat_activity a
) to stdout
