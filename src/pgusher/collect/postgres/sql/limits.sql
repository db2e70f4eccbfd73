-- The limits of roles and databases, and who is a superuser. How much of a limit is used is counted from the sessions.
copy (
    select r.rolname, r.rolsuper, r.rolconnlimit
    from pg_catalog.pg_roles r
    where r.rolsuper or (r.rolconnlimit >= 0 and r.rolcanlogin)
) to stdout;
copy (
    select d.datname, d.datconnlimit
    from pg_catalog.pg_database d
    where d.datconnlimit >= 0 and d.datallowconn
) to stdout
