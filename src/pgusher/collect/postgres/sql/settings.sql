-- Settings that have to do with slots. What pgusher sets for its own session (statement_timeout, lock_timeout) is not
-- among them: it would be told as the server's.
copy (
    select s.name, s.setting, s.unit, s.source
    from pg_catalog.pg_settings s
    where s.name in (
        'authentication_timeout', 'client_connection_check_interval', 'data_directory', 'hot_standby',
        'idle_in_transaction_session_timeout', 'idle_session_timeout', 'listen_addresses', 'log_connections',
        'log_disconnections', 'log_hostname', 'max_connections', 'max_prepared_transactions', 'max_wal_senders',
        'max_worker_processes', 'reserved_connections', 'superuser_reserved_connections', 'tcp_keepalives_count',
        'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_user_timeout', 'track_activities',
        'track_activity_query_size', 'transaction_timeout', 'unix_socket_directories', 'update_process_title'
    )
    order by s.name
) to stdout
