-- Before 18 a session that has not finished its login is not in pg_stat_activity, yet it holds a slot, and the lock on
-- its own virtual transaction.
copy (
    select distinct l.pid
    from pg_catalog.pg_locks l
    where l.locktype = 'virtualxid' and l.pid is not null
) to stdout
