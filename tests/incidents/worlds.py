"""Incidents and healthy servers written down: those that need weeks, programs that are not here, or other hosts."""

from __future__ import annotations

from pgusher.diagnose.engine import diagnose
from pgusher.model.findings import Diagnosis
from tests.diagnose.worlds import World
from tests.incidents.incident import INNOCENT, Incident

GRAFANA = """
[[process]]
argv = "/usr/share/grafana/bin/grafana server"
exe = "/usr/share/grafana/bin/grafana"
unit = "grafana-server"
os_user = "grafana"
age = "40d"
"""
ORDERS = """
[[process]]
argv = "gunicorn: worker [orders.app:app]"
parent = "gunicorn: master [orders.app:app]"
unit = "orders-api"
age = "3d"
"""
HISTORY = """
[[process]]
argv = "python3 version_history.py"
cron = "*/10 * * * * root cd /opt/jobs && python3 version_history.py"
"""
STACK = """
[process.hang]
mechanism = "queue-join-no-worker"
sentence = "MainThread waits in queue.join() for a worker thread that has ended"
waits_in = "Queue.join"
file = "/opt/jobs/version_history.py"
line = 57
raised = 31
"""


def diagnosed(text: str) -> Diagnosis:
    """What is said of a world."""
    world = World(text)
    snapshot = world.snapshot()
    return diagnose(snapshot, hangs=world.found_hangs(), earlier=world.before, strict=True)


def _of(name: str, about: str, causes: tuple[str, ...], text: str, **more: object) -> Incident:
    return Incident(name, about, causes, lambda: diagnosed(text), **more)  # type: ignore[arg-type]  # also, places


INCIDENTS = (
    _of(
        "the incident: jobs that hang for weeks, pools of ten, Grafana's default, a full server",
        "mixture",
        ("stuck-job",),
        f"""
slots = 100
{HISTORY}age = "23d"
sessions = [{{ count = 3, idle = "23d" }}]
{STACK}
{HISTORY}age = "16d"
sessions = [{{ count = 3, idle = "16d" }}]
{STACK}
[[process]]
argv = "python3 mail_digest.py"
cron = "0 6 * * * root cd /opt/jobs && python3 mail_digest.py"
age = "61d"
sessions = [{{ count = 3, idle = "61d" }}]
{ORDERS}copies = 2
sessions = [{{ count = 9, idle = "20s" }}, {{ state = "active" }}]
{GRAFANA}
sessions = [{{ count = 68, user = "grafana", idle = "2h" }}]
""",
        also=("grafana-default-limit",),
        places=(("version_history.py", 57),),
    ),
    _of(
        "a full server, seen without SQL: hanging runs by their titles",
        "stuck-job",
        ("stuck-job",),
        f"""
slots = 20
view = "titles"
refuses_all = true
{HISTORY}age = "23d"
sessions = [{{ count = 10, idle = "23d" }}]
{HISTORY}age = "9d"
sessions = [{{ count = 10, idle = "9d" }}]
""",
    ),
    _of(
        "a daily job that never ended, among healthy services",
        "stuck-job",
        ("stuck-job",),
        f"""
slots = 100
{ORDERS}copies = 4
sessions = [{{ count = 5, idle = "20s" }}]
[[process]]
argv = "python3 mail_digest.py"
cron = "0 6 * * * root cd /opt/jobs && python3 mail_digest.py"
age = "61d"
sessions = [{{ count = 3, idle = "61d" }}]
""",
    ),
    _of(
        "five dashboards and Grafana's default",
        "grafana-default-limit",
        ("grafana-default-limit",),
        f"""
slots = 100
{GRAFANA}
sessions = [{{ count = 88, user = "grafana", idle = "1h" }}, {{ count = 9, user = "grafana", state = "active" }}]
""",
    ),
    _of(
        "Grafana's limit is low in its files, and the back ends fill the server",
        "idle-pool-oversized",
        ("idle-pool-oversized",),
        f"""
slots = 60
{GRAFANA}
pools = [["Grafana", "maxOpenConns", 5, "/etc/grafana/provisioning/datasources/shop.yaml", 9, "Shop"]]
sessions = [{{ count = 5, user = "grafana", idle = "4s" }}]
{ORDERS}copies = 5
sessions = [{{ count = 2, idle = "4s" }}, {{ count = 8, used = false }}]
""",
    ),
    _of(
        "a pool of sixty for a service that needs five",
        "idle-pool-oversized",
        ("idle-pool-oversized",),
        f"""
slots = 100
{ORDERS}
sessions = [{{ count = 5, idle = "2s" }}, {{ count = 55, used = false }}]
""",
    ),
    _of(
        "sessions of a host that vanished",
        "orphaned-session",
        ("orphaned-session",),
        """
slots = 40
[[gone]]
sessions = [{ count = 30, age = "2d", idle = "1d" }]
[[process]]
argv = "python3 api.py"
unit = "api"
sessions = [{ count = 8, state = "active" }]
""",
    ),
    _of(
        "people who went home",
        "forgotten-session",
        ("forgotten-session",),
        """
slots = 20
[[process]]
argv = "psql -d orders"
tty = "pts/3 anna"
age = "2d"
sessions = [{ count = 6, idle = "20h" }]
[[process]]
argv = "psql -d orders"
tty = "pts/4 bob"
age = "2d"
sessions = [{ count = 6, idle = "30h" }]
[[process]]
argv = "python3 api.py"
unit = "api"
sessions = [{ count = 5, state = "active" }]
""",
    ),
    _of(
        "an exporter with a session in each database",
        "monitor-crowd",
        ("monitor-crowd",),
        """
slots = 40
[[process]]
argv = "/usr/bin/postgres_exporter --auto-discover-databases"
exe = "/usr/bin/postgres_exporter"
unit = "postgres-exporter"
sessions = [{ count = 14, idle = "14s" }]
[[process]]
argv = "python3 api.py"
unit = "api"
sessions = [{ count = 9, idle = "4s" }]
""",
    ),
    _of(
        "logins that never end, from another host",
        "invisible-sessions",
        ("invisible-sessions",),
        """
slots = 40
[[remote]]
host = "10.0.0.9"
sessions = [{ count = 30, age = "40s", state = "authenticating" }]
[[process]]
argv = "python3 api.py"
unit = "api"
sessions = [{ count = 7, state = "active" }]
""",
    ),
    _of(
        "three services of four workers each, all pools in use",
        "pools-exceed-slots",
        ("pools-exceed-slots",),
        "slots = 60\n"
        + "".join(
            f"""
[[process]]
argv = "gunicorn: worker [{name}.app:app]"
parent = "gunicorn: master [{name}.app:app]"
unit = "{name}"
age = "3h"
copies = {copies}
sessions = [{{ count = {count}, state = "active", app = "{name}" }}]
"""
            for name in ("shop", "orders", "mails")
            for copies, count in ((1, 10), (3, 3))
        ),
    ),
    _of(
        "a prepared transaction that nobody ends",
        "blocked-by-idle",
        ("blocked-by-idle",),
        """
slots = 40
[[process]]
argv = "python3 api.py"
unit = "api"
sessions = [{ count = 12, state = "active", idle = "9min", blocked_by = "prepared" }]
""",
    ),
    _of(
        "php connects for each request",
        "connection-churn",
        ("connection-churn",),
        """
slots = 100
opened = 91400
[earlier]
ago = "1s"
opened = 91340
[[process]]
argv = "php-fpm: pool www"
unit = "php-fpm"
copies = 5
age = "9d"
sessions = [{ age = "30ms", state = "active" }]
""",
    ),
    _of(
        "an ordinary user looks, and sees nobody's processes",
        "half-blind",
        ("half-blind",),
        """
slots = 40
[[hidden]]
uid = 33
sessions = [{ count = 20, idle = "2s" }]
""",
    ),
    _of(
        "old idle sessions of a remote pool",
        "no-idle-timeout",
        ("no-idle-timeout", "idle-pool-oversized"),
        """
slots = 20
[[remote]]
host = "10.0.0.7"
sessions = [{ count = 5, age = "30d", idle = "9d", app = "a" }]
[[remote]]
host = "10.0.0.8"
sessions = [{ count = 5, age = "30d", state = "active", app = "b" }]
[[remote]]
host = "10.0.0.9"
sessions = [{ count = 6, age = "30d", state = "active", app = "c" }]
""",
    ),
)

HEALTHY = (
    _of(
        "an idle pool of ten, eight of them used now and then",
        INNOCENT,
        (),
        """
slots = 100
[[process]]
argv = "python3 api.py"
unit = "api"
age = "9d"
sessions = [{ count = 8, idle = "50s" }, { count = 2, used = false }]
""",
    ),
    _of(
        "a quiet night: pools rest for hours, and there is room",
        INNOCENT,
        (),
        f"""
slots = 100
{ORDERS}copies = 4
sessions = [{{ count = 5, idle = "7h" }}]
""",
    ),
    _of(
        "a web server with four workers at 60 % of the slots",
        INNOCENT,
        (),
        f"""
slots = 40
{ORDERS}copies = 4
sessions = [{{ count = 4, idle = "3s" }}, {{ state = "active" }}, {{ state = "idle in transaction", idle = "8ms" }}]
""",
    ),
    _of(
        "a dashboard is open",
        INNOCENT,
        (),
        f"""
slots = 100
{GRAFANA}
sessions = [{{ count = 6, user = "grafana", idle = "4s" }}, {{ count = 12, user = "grafana", state = "active" }}]
{ORDERS}copies = 4
sessions = [{{ count = 5, idle = "3s" }}]
""",
    ),
    _of(
        "a nightly job within its time, and a backup",
        INNOCENT,
        (),
        """
slots = 100
[[process]]
argv = "python3 nightly.py"
cron = "0 2 * * * root cd /opt/jobs && python3 nightly.py"
age = "72min"
sessions = [{ count = 4, idle = "30min" }, { state = "active", idle = "25min" }]
[[process]]
argv = "/usr/lib/postgresql/15/bin/pg_dump -Fd -j 4 orders"
exe = "/usr/lib/postgresql/15/bin/pg_dump"
cron = "30 2 * * * postgres /usr/local/bin/backup.sh"
age = "42min"
sessions = [
    { state = "idle in transaction", idle = "1s", user = "postgres", superuser = true },
    { count = 4, state = "active", idle = "30s" },
]
""",
    ),
    _of(
        "a long report that works, every half hour, one at a time",
        INNOCENT,
        (),
        """
slots = 100
[[process]]
argv = "python3 report.py"
cron = "*/30 * * * * root flock -n /run/report python3 /opt/report.py"
age = "95min"
sessions = [{ state = "active", idle = "55min" }, { idle = "94min" }]
""",
    ),
    _of(
        "a report that computes, as its threads show",
        INNOCENT,
        (),
        """
slots = 100
[[process]]
argv = "python3 model.py"
cron = "*/30 * * * * root flock -n /run/model python3 /opt/model.py"
age = "5h"
sessions = [{ count = 2, idle = "4h" }]
hang = { mechanism = "unknown", sentence = "MainThread computes", still = false }
""",
    ),
    _of(
        "a worker that cron keeps alive, and that listens",
        INNOCENT,
        (),
        """
slots = 100
[[process]]
argv = "python3 listener.py"
cron = "* * * * * root flock -n /run/l python3 /opt/listener.py"
age = "20d"
sessions = [{ idle = "6h", query = "LISTEN orders" }]
""",
    ),
    _of(
        "a poller that cron keeps alive",
        INNOCENT,
        (),
        """
slots = 100
[[process]]
argv = "python3 poller.py"
cron = "* * * * * root flock -n /run/p python3 /opt/poller.py"
age = "20d"
sessions = [{ idle = "9s" }]
""",
    ),
    _of(
        "a person at work",
        INNOCENT,
        (),
        """
slots = 100
[[process]]
argv = "psql -d orders"
tty = "pts/3 anna"
age = "5h"
sessions = [{ idle = "40min" }, { state = "idle in transaction", idle = "50s" }]
""",
    ),
    _of(
        "PgBouncer holds most of the slots, as it should",
        INNOCENT,
        (),
        """
slots = 100
[[process]]
argv = "/usr/sbin/pgbouncer /etc/pgbouncer/pgbouncer.ini"
exe = "/usr/sbin/pgbouncer"
unit = "pgbouncer"
age = "90d"
sessions = [{ count = 60, idle = "8min" }, { count = 20, state = "active" }]
""",
    ),
    _of(
        "a server of its own for remote clients, well in its limits",
        INNOCENT,
        (),
        """
slots = 100
roles = { app = 60 }
[[remote]]
host = "10.0.0.7"
sessions = [
    { count = 25, age = "3d", idle = "40s", app = "shop" },
    { count = 3, age = "3d", state = "active", app = "shop" },
]
[[remote]]
host = "10.0.0.8"
sessions = [{ count = 20, age = "3d", idle = "6h", app = "erp" }]
""",
    ),
    _of(
        "a deployment: a new pool has just been opened",
        INNOCENT,
        (),
        f"""
slots = 100
opened = 5230
[earlier]
ago = "2s"
opened = 5200
empty = true
{ORDERS.replace('"3d"', '"2s"')}copies = 6
sessions = [{{ count = 5, used = false, age = "1s" }}]
""",
    ),
    _of(
        "a queue of writers behind one that works",
        INNOCENT,
        (),
        """
slots = 40
[[process]]
argv = "python3 api.py"
unit = "api"
sessions = [
    { id = "head", state = "active", idle = "20s" },
    { count = 6, state = "active", idle = "15s", blocked_by = "head" },
]
""",
    ),
    _of(
        "a monitor, a replica's probe, a standby's worth of watchers",
        INNOCENT,
        (),
        """
slots = 100
[[process]]
argv = "/usr/bin/postgres_exporter"
exe = "/usr/bin/postgres_exporter"
unit = "postgres-exporter"
sessions = [{ count = 3, idle = "9s" }]
[[process]]
argv = "python3 /usr/bin/patroni /etc/patroni.yml"
unit = "patroni"
sessions = [{ count = 2, idle = "4s", user = "postgres", superuser = true }]
""",
    ),
)
