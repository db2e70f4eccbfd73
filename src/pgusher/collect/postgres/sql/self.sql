-- One row: who we are to the server, and what it says of itself.
copy (
    select
        pg_catalog.pg_backend_pid(),
        session_user,
        pg_catalog.pg_has_role('pg_read_all_stats', 'usage'),
        -- from 16 on
        pg_catalog.pg_has_role(session_user, 'pg_use_reserved_connections', 'usage'),
        pg_catalog.pg_is_in_recovery(),
        (pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()) * 1000000)::pg_catalog.int8,
        pg_catalog.current_setting('server_version'),
        pg_catalog.current_setting('server_version_num'),
        pg_catalog.current_setting('port'),
        pg_catalog.current_setting('cluster_name'),
        pg_catalog.current_setting('max_connections'),
        pg_catalog.current_setting('superuser_reserved_connections'),
        pg_catalog.current_setting('reserved_connections', true),
        pg_catalog.current_setting('track_activities'),
        pg_catalog.current_setting('statement_timeout'),
        pg_catalog.current_setting('search_path'),
        pg_catalog.current_setting('transaction_read_only')
) to stdout
