"""Words that say nothing of whose server it is: they stay as they are when all others become pseudonyms.

What is public by itself: PostgreSQL's and SQL's words, interpreters, the usual directories, systemd's and cron's parts.
A word is here only if a chain, a rule or a reader needs it. Those of known programs are added by who knows them.
"""

from __future__ import annotations

_POSTGRES = """
postgres postgresql psql pgbouncer pgpool pgusher client backend walsender walreceiver parallel worker autovacuum
launcher idle active in transaction aborted fastpath function call disabled authentication authenticating startup
pg_stat_activity pg_catalog pg_settings pg_locks pg_backend_pid pg_stat_replication pg_database pg_roles pg_sleep
information_schema public template0 template1 max_connections pgdg pgsql
"""
_SQL = """
abort all alter analyze and any array as asc avg begin between bigint boolean bound by bytea case cast char close
cluster coalesce column commit concurrently constraint copy count create cross current current_date current_timestamp
cursor date date_trunc deallocate declare default delete desc discard distinct do drop else end escape except exclusive
execute exists explain false fetch filter first float following for foreign from full grant group having ilike
index inner insert int integer intersect interval into is isolation join json jsonb key lateral left level like limit
listen lock lower ltrim max min mode move natural next no not nothing notify now null nullif numeric of offset on only
or order outer over partition preceding prepare primary range read real references refresh reindex release reset
returning revoke right rollback row rows savepoint schema select serializable session set share show similar skip
locked smallint some stdin stdout sum table temp temporary text then time timestamp timestamptz to trim true truncate
union unique unlisten unnest update upper using vacuum values varchar view wait when where window with within work
write zone uuid advisory pg_advisory_lock pg_advisory_xact_lock pg_try_advisory_lock
"""
_PROGRAMS = """
python python2 python3 pypy pypy3 py pyc perl pl ruby rb php node nodejs js mjs ts java jar dotnet dll go bash sh zsh
fish dash ksh tcsh busybox env sudo su doas nice ionice nohup timeout flock chronic setsid exec exit cd test echo true
sleep cat grep awk sed tee logger bundle npm npx yarn uv poetry pipenv venv virtualenv virtualenvs conda bin sbin usr
local lib lib64 libexec share opt srv var run etc home root tmp dev shm null proc self log mnt media data www app apps
src site packages dist cron crond crontabs crontab spool anacron atd run-parts hourly daily weekly monthly reboot
yearly annually midnight systemd system slice scope service socket timer target mount user init docker dockerd
containerd shim podman libpod conmon crio cri kubepods kubelet pod besteffort burstable lxc lxd machine session login
sshd ssh tmux screen tty pts console master main server web api http https localhost localdomain sqlite redis
com org net io www config conf cfg ini toml yaml yml json txt md sql log pid sock lock
m c e v x u p h d f n i o t w dsn id workers worker threads bind host port user username dbname database config reload
debug processes process reloader loop uvicorn gunicorn hypercorn celery beat flower uwsgi django flask fastapi manage
runserver asgi wsgi module unix tcp deleted manager default name prod dev staging amd64 arm64 aarch64 x86_64
generic cloud
"""
_PYTHON = """
mainthread thread threads pool scheduler dummy threadpoolexecutor asyncio module lambda listcomp genexpr dictcomp locals
run join get put set wait init call target task_done release putconn notify acquire result shutdown close commit
baseexception exception arithmeticerror assertionerror attributeerror brokenpipeerror connectionerror eoferror
connectionrefusederror connectionreseterror filenotfounderror importerror indexerror interruptederror keyerror
keyboardinterrupt memoryerror nameerror notimplementederror operationalerror oserror overflowerror permissionerror
recursionerror runtimeerror stopiteration systemexit timeouterror typeerror unicodedecodeerror valueerror
zerodivisionerror pooltimeout
"""
_CALENDAR = """
mon tue wed thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec
"""

_PACKAGES = """
aiohttp alembic amqp anyio apscheduler arq asyncpg billiard boto3 botocore celery concurrent dash django dramatiq
eventlet fastapi flask gevent greenlet gunicorn httpcore httpx huey hypercorn kombu luigi numpy pandas paramiko
peewee pika prefect psycopg psycopg2 psycopg_binary psycopg_c psycopg_pool pydantic redis requests rq schedule
sqlalchemy starlette streamlit tenacity tornado trio twisted urllib3 uvicorn uvloop werkzeug
"""
PACKAGES = frozenset(_PACKAGES.split())
"""Packages that anybody may have: what their files and functions are called tells nothing of a site."""
COMMON = frozenset(word for part in (_POSTGRES, _SQL, _PROGRAMS, _PYTHON, _CALENDAR) for word in part.split())
"""All of them, in lower case."""
