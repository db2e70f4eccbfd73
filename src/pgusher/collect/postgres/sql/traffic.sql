-- From 14 on: how many sessions the server has opened since its statistics were reset. Two looks show how many come
-- and go; one shows only those that are there. No privilege is needed.
copy (
    select coalesce(sum(d.sessions), 0)
    from pg_catalog.pg_stat_database d
) to stdout
