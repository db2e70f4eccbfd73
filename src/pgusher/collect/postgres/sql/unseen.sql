-- After pg_stat_activity, of which the transaction keeps the snapshot: who holds a virtual transaction and is not there.
copy (
    select distinct l.pid
    from pg_catalog.pg_locks l
    where l.locktype = 'virtualxid' and l.pid is not null
        and not exists (select from pg_catalog.pg_stat_activity a where a.pid = l.pid)
) to stdout
