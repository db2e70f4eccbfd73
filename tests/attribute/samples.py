"""A true command line of each known program, and one that only looks like it.

A sample is written as a command line; one word in brackets is a title that the process has written over it; what
follows " @ " is the executable as the kernel names it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

SAMPLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # program: (command lines that are it), (command lines that are not)
    "grafana": (
        (
            "/usr/sbin/grafana-server --config=/etc/grafana/grafana.ini",
            "grafana server --homepath=/usr/share/grafana @ /usr/share/grafana/bin/grafana",
            "/var/lib/grafana/plugins/p/gpx_grafana_postgresql_datasource_linux_amd64",
        ),
        ("python grafana_report.py", "vim /etc/grafana/grafana.ini", "/opt/gpx_other_datasource_linux_amd64"),
    ),
    "metabase": (
        (
            "java -jar /opt/metabase.jar",
            "java -Xmx2g -jar metabase-0.50.1.jar",
            "java -cp /app/metabase.jar metabase.core.bootstrap",
        ),
        ("java -jar metabaseloader.jar", "tail -f metabase.log"),
    ),
    "superset": (
        ("/v/bin/python /v/bin/gunicorn -w 4 superset.app:create_app()", "python /v/bin/superset run"),
        ("python superset_sync.py", "/v/bin/python /v/bin/gunicorn supersetter.app:app"),
    ),
    "redash": (
        ("/usr/local/bin/python /usr/local/bin/gunicorn -b 0.0.0.0:5000 --name redash -w4 redash.wsgi:app",),
        ("python redash.py",),
    ),
    "jupyter": (
        ("python -m ipykernel_launcher -f /run/kernel-1.json", "/v/bin/python /v/bin/jupyter-lab --no-browser"),
        ("python jupyter_export.py", "less jupyter.log"),
    ),
    "airflow": (
        (
            "/v/bin/python /v/bin/airflow scheduler",
            "[airflow worker -- LocalExecutor]",
            "[gunicorn: master [airflow-webserver]]",
        ),
        ("python airflow_backfill.py", "vim airflow.cfg"),
    ),
    "dagster": (("/v/bin/python /v/bin/dagster-daemon run", "python -m dagster api grpc"), ("python dagster_job.py",)),
    "prefect": (("/v/bin/python /v/bin/prefect server start", "python -m prefect.engine"), ("python prefect_flow.py",)),
    "luigi": (("python -m luigi --module jobs Sync", "/usr/bin/python3 /usr/bin/luigid"), ("python luigi_task.py",)),
    "temporal": (("temporal-server start",), ("python temporal.py",)),
    "jenkins": (("java -jar /usr/share/java/jenkins.war --httpPort=8080",), ("java -jar jenkinsfile.jar",)),
    "gitlab-runner": (("/usr/bin/gitlab-runner run --config x",), ("python gitlab-runner.py",)),
    "n8n": (("node /usr/local/bin/n8n start",), ("node n8n.js",)),
    "kafka-connect": (
        ("java -cp /kafka/libs/* org.apache.kafka.connect.cli.ConnectDistributed c.properties",),
        ("java -cp x org.apache.kafka.Kafka",),
    ),
    "debezium": (("java -cp lib/* io.debezium.server.Main",), ("java -cp x io.debezium.Other",)),
    "keycloak": (
        ("java -Dkc.home.dir=/opt/keycloak/bin/.. -cp x io.quarkus.bootstrap.runner.QuarkusEntryPoint start",),
        ("java -jar /opt/keycloak/report.jar", "bash /opt/keycloak/bin/kc.sh start"),
    ),
    "hasura": (("graphql-engine serve",), ("python graphql-engine.py",)),
    "postgrest": (("/usr/bin/postgrest /etc/postgrest.conf",), ("vim postgrest.conf",)),
    "gitlab": (
        ("[puma: cluster worker 0: 1234 [gitlab-puma-worker]]",),
        ("[puma: cluster worker 0: 1234 [shop]]",),
    ),
    "sentry": (("python /usr/local/bin/sentry run web",), ("python sentry_report.py",)),
    "odoo": (
        ("/usr/bin/python3 /usr/bin/odoo -c /etc/odoo/odoo.conf", "python odoo-bin -d shop"),
        ("python odoo_export.py",),
    ),
    "nextcloud": (("php -f /var/www/nextcloud/cron.php", "php /var/www/html/occ files:scan"), ("php cron.php",)),
    "mattermost": (("/opt/mattermost/bin/mattermost",), ("python mattermost.py",)),
    "gitea": (("/usr/local/bin/gitea web -c /etc/gitea/app.ini", "forgejo web"), ("gitea-backup",)),
    "synapse": (("python -m synapse.app.homeserver -c /etc/h.yaml",), ("python synapse.py",)),
    "vault": (("/usr/bin/vault server -config=/etc/vault",), ("python vault.py",)),
    "directus": (("node /app/node_modules/.bin/directus start",), ("node directus.js",)),
    "strapi": (("node /app/node_modules/.bin/strapi start",), ("node strapi.js",)),
    "bareos": (("/usr/sbin/bareos-dir -f", "/usr/sbin/bacula-dir -f"), ("bconsole",)),
    "pgagent": (("/usr/bin/pgagent -f host=x",), ("pgagentx",)),
    "pg_timetable": (("pg_timetable --clientname=w1",), ("python pg_timetable.py",)),
    "pgadmin": (
        (
            "/usr/pgadmin4/bin/pgadmin4",
            "/usr/pgadmin4/venv/bin/python3 /usr/pgadmin4/web/pgAdmin4.py",
            "/venv/bin/python3 /venv/bin/gunicorn --bind 0.0.0.0:80 run_pgadmin:app",
        ),
        ("python pgadmin_import.py",),
    ),
    "dbeaver": (
        (
            "/usr/share/dbeaver-ce/dbeaver @ /usr/share/dbeaver-ce/dbeaver",
            "java -jar /opt/dbeaver/plugins/org.eclipse.equinox.launcher_1.6.jar",
        ),
        ("java -jar /home/bob/dbeaver/backup.jar", "vim dbeaver.ini"),
    ),
    "datagrip": (
        (
            "/opt/datagrip/bin/datagrip",
            "/opt/jbr/bin/java -cp x -Didea.platform.prefix=DataGrip com.intellij.idea.Main",
        ),
        ("java -cp x com.example.DataGrip",),
    ),
    "intellij": (
        (
            "/opt/jbr/bin/java -Didea.paths.selector=IntelliJIdea2024.1 com.intellij.idea.Main",
            "/opt/pycharm/bin/pycharm",
        ),
        ("python pycharm.py",),
    ),
    "qgis": (("/usr/bin/qgis.bin x.qgz",), ("python qgis.py",)),
    "gunicorn": (
        (
            "/usr/bin/python3 /usr/bin/gunicorn -w 4 orders.wsgi:app",
            "python -m gunicorn orders:app",
            "[gunicorn: worker [orders]]",
        ),
        ("vim gunicorn.conf.py", "tail -f gunicorn.log", "python gunicorn.conf.py", "sh -c 'gunicorn orders:app'"),
    ),
    "uvicorn": (
        (
            "/v/bin/python /v/bin/uvicorn app.main:app --workers 4",
            "python -m uvicorn app:app",
            "python /v/bin/fastapi run",
        ),
        ("python uvicorn_test.py", "grep uvicorn x"),
    ),
    "hypercorn": (("python -m hypercorn app:app",), ("python hypercorn.toml.py",)),
    "granian": (("python /v/bin/granian --interface asgi app:app",), ("python granian_bench.py",)),
    "daphne": (("python /v/bin/daphne shop.asgi:application",), ("python daphne.py",)),
    "waitress": (("python /v/bin/waitress-serve --port=80 shop:app",), ("python waitress_x.py",)),
    "uwsgi": (("/usr/bin/uwsgi --ini x.ini", "[uWSGI worker 1]"), ("vim uwsgi.ini",)),
    "apache": (("/usr/sbin/apache2 -k start", "/usr/sbin/httpd -DFOREGROUND"), ("apache2ctl start", "httpd-report")),
    "php-fpm": (("[php-fpm: pool www]", "/usr/sbin/php-fpm8.2 --nodaemonize"), ("php fpm.php",)),
    "celery": (
        ("/v/bin/python /v/bin/celery -A shop worker", "[[celeryd: celery@h:MainProcess] -active- (worker -A shop)]"),
        ("tail -f celery.log", "python celery_report.py"),
    ),
    "flower": (("python /v/bin/flower",), ("python flower.py",)),
    "rq": (("/v/bin/python /v/bin/rq worker high", "[rq:worker:a1b2: Listening on default]"), ("python rq_status.py",)),
    "dramatiq": (("python /v/bin/dramatiq shop.tasks",), ("python dramatiq.py",)),
    "huey": (("python /v/bin/huey_consumer.py shop.huey",), ("python huey.py",)),
    "arq": (("python /v/bin/arq shop.Worker",), ("python arq.py",)),
    "procrastinate": (("python -m procrastinate worker",), ("python procrastinate.py",)),
    "django": (("python manage.py runserver", "python -m django migrate"), ("python manage_users.py", "vim manage.py")),
    "flask": (("python /v/bin/flask run", "python -m flask --app x run"), ("python flask_app.py",)),
    "streamlit": (("python /v/bin/streamlit run x.py",), ("python streamlit_app.py",)),
    "puma": (
        ("[puma 6.4.0 (tcp://0.0.0.0:3000) [shop]]", "ruby /usr/bin/puma -C x.rb"),
        ("vim puma.rb", "ruby puma_status.rb"),
    ),
    "unicorn": (("[unicorn master -c x.rb]", "ruby /usr/bin/unicorn_rails"), ("ruby unicorn.rb",)),
    "passenger": (("[Passenger RubyApp: /srv/shop (production)]",), ("passenger-status",)),
    "rails": (("ruby bin/rails server",), ("ruby rails.rb",)),
    "sidekiq": (("[sidekiq 7.2.0 shop [0 of 5 busy]]", "ruby /usr/bin/sidekiq"), ("tail -f sidekiq.log",)),
    "resque": (("[resque-2.4.0: Waiting for high]",), ("ruby resque.rb",)),
    "laravel": (("php /var/www/artisan queue:work",), ("php artisan.php",)),
    "nextjs": (("[next-server (v14.1.0)]", "node /app/node_modules/.bin/next start"), ("node next.config.js",)),
    "spring": (
        ("java -cp x org.springframework.boot.loader.launch.JarLauncher",),
        ("java -cp x org.springframework.samples.Main",),
    ),
    "tomcat": (
        ("java -Dcatalina.base=/t -cp x org.apache.catalina.startup.Bootstrap start",),
        ("java -cp x org.apache.catalina.ant.X",),
    ),
    "wildfly": (("java -jar /opt/wildfly/jboss-modules.jar -mp x",), ("java -jar jboss-client.jar",)),
    "quarkus": (("java -jar /srv/quarkus-run.jar",), ("java -jar /srv/quarkus.jar",)),
    "pgbouncer": (
        ("/usr/sbin/pgbouncer -d /etc/pgbouncer/pgbouncer.ini",),
        ("vim pgbouncer.ini", "python pgbouncer_stats.py"),
    ),
    "pgdoorman": (("/usr/bin/pg_doorman /etc/pg_doorman.toml",), ("vim pg_doorman.toml",)),
    "pgcat": (("pgcat /etc/pgcat.toml",), ("cat pgcat.toml",)),
    "odyssey": (("/usr/bin/odyssey /etc/odyssey.conf",), ("python odyssey.py",)),
    "pgpool": (("[pgpool: bob shop 10.0.0.7(5) idle]", "/usr/sbin/pgpool -n"), ("vim pgpool.conf",)),
    "pgagroal": (("pgagroal -d", "[pgagroal: main]"), ("pgagroal-cli status",)),
    "pgdog": (("pgdog --config x",), ("vim pgdog.toml",)),
    "haproxy": (("/usr/sbin/haproxy -Ws -f x.cfg",), ("vim haproxy.cfg",)),
    "nginx": (("[nginx: worker process]", "/usr/sbin/nginx -g x"), ("vim nginx.conf",)),
    "envoy": (("/usr/local/bin/envoy -c x",), ("python envoy.py",)),
    "stunnel": (("/usr/bin/stunnel4 /etc/x",), ("vim stunnel.conf",)),
    "socat": (("socat TCP-LISTEN:5432,fork TCP:db:5432",), ("man socat",)),
    "ssh": (("ssh -N -L 5432:db:5432 jump", "autossh -M0 jump"), ("ssh-agent", "sshd")),
    "docker-proxy": (("/usr/bin/docker-proxy -proto tcp",), ("docker ps",)),
    "kubectl": (("kubectl port-forward svc/x 5432",), ("python kubectl.py",)),
    "cloud-sql-proxy": (("/cloud-sql-proxy p:r:i",), ("python cloud-sql-proxy.py",)),
    "postgres_exporter": (
        ("/usr/bin/prometheus-postgres-exporter", "postgres_exporter --web.listen-address=x"),
        ("python postgres_exporter.py",),
    ),
    "datadog-agent": (
        ("/opt/datadog-agent/bin/agent/agent run -p x @ /opt/datadog-agent/bin/agent/agent",),
        ("/opt/other/bin/agent run @ /opt/other/bin/agent", "tail -f /var/log/datadog-agent/agent.log"),
    ),
    "telegraf": (("/usr/bin/telegraf -config x",), ("vim telegraf.conf",)),
    "otelcol": (("/otelcol-contrib --config=x",), ("python otelcol.py",)),
    "zabbix": (
        ("[zabbix_server: poller #1 [idle 1 sec]]", "/usr/sbin/zabbix_server_pgsql -f"),
        ("vim zabbix_server.conf",),
    ),
    "zabbix-agent": (("/usr/sbin/zabbix_agent2 -c x",), ("python zabbix_agent2.py",)),
    "netdata": (("/usr/sbin/netdata -D", "/usr/libexec/netdata/plugins.d/go.d.plugin 1"), ("python netdata.py",)),
    "pganalyze": (("/usr/bin/pganalyze-collector",), ("vim pganalyze-collector.conf",)),
    "pgwatch": (("/pgwatch/pgwatch --sources=x",), ("python pgwatch.py",)),
    "patroni": (("/usr/bin/python3 /usr/bin/patroni /etc/p.yml",), ("python patroni_check.py", "vim patroni.yml")),
    "repmgr": (("/usr/bin/repmgrd -f x",), ("vim repmgr.conf",)),
    "pg_auto_failover": (("pg_autoctl run",), ("python pg_autoctl.py",)),
    "postgres": (
        ("[postgres: 15/main: bob shop 10.0.0.7(5) idle]", "/usr/lib/postgresql/15/bin/postgres -D x"),
        ("postgresqltuner", "python postgres.py"),
    ),
    "psql": (
        ("/usr/lib/postgresql/15/bin/psql shop", "psql -h db @ /usr/bin/psql"),
        ("sh -c 'psql shop'", "vim psql.sql", "psql -h db @ /usr/bin/python3"),
    ),
    "pgcli": (("/usr/bin/python3 /usr/bin/pgcli shop",), ("python pgcli_x.py",)),
    "usql": (("usql pg://db",), ("python usql.py",)),
    "pg_dump": (("/usr/bin/pg_dump -j4 shop",), ("python pg_dump.py", "bash pg_dump.sh")),
    "pg_dumpall": (("pg_dumpall -g",), ("pg_dumpall.sh",)),
    "pg_restore": (("pg_restore -d shop x",), ("python pg_restore.py",)),
    "pg_basebackup": (("pg_basebackup -D x -X stream",), ("vim pg_basebackup.log",)),
    "pg_receivewal": (("pg_receivewal -D x", "pg_recvlogical -d shop"), ("pg_receivewal.sh",)),
    "pgbackrest": (("pgbackrest --stanza=main backup",), ("vim pgbackrest.conf",)),
    "barman": (("/usr/bin/python3 /usr/bin/barman backup main",), ("python barman_report.py",)),
    "wal-g": (("wal-g backup-push x",), ("python wal-g.py",)),
    "pgbench": (("pgbench -c 50 shop",), ("python pgbench.py",)),
    "pg_maintenance": (("vacuumdb -a", "pg_repack shop"), ("python vacuumdb.py",)),
    "pgloader": (("pgloader x.load",), ("vim pgloader.load",)),
    "osm2pgsql": (("osm2pgsql -d gis x.pbf",), ("python osm2pgsql.py",)),
    "dbt": (("/v/bin/python /v/bin/dbt run",), ("python dbt_project.py",)),
    "alembic": (("python /v/bin/alembic upgrade head",), ("python alembic_env.py",)),
    "flyway": (("java -cp x org.flywaydb.commandline.Main migrate",), ("java -jar flyway.jar",)),
    "liquibase": (("java -cp x liquibase.integration.commandline.LiquibaseCommandLine",), ("java -jar liquibase.jar",)),
    "pg_activity": (("/usr/bin/python3 /usr/bin/pg_activity -U postgres",), ("python pg_activity_x.py",)),
    "pgcenter": (("pgcenter top",), ("python pgcenter.py",)),
    "pg_top": (("pg_top -d x",), ("python pg_top.py",)),
    "check_postgres": (("perl /usr/lib/nagios/check_postgres.pl --action=x",), ("perl check_postgresql.pl",)),
    "check_pgactivity": (("perl /usr/lib/nagios/plugins/check_pgactivity -s x",), ("perl check_pg.pl",)),
    "pgmetrics": (("pgmetrics -h db",), ("python pgmetrics.py",)),
    "pgusher": (
        ("python3 -m pgusher who", "python /venv/bin/pgusher", "python3 pgusher.pyz"),
        ("python -m pgusher.demo.host", "python pgusher.py", "python -m pgusherry"),
    ),
    "supervisor": (("/usr/bin/python3 /usr/bin/supervisord -n",), ("vim supervisord.conf", "python supervisorctl")),
    "circus": (("python /v/bin/circusd c.ini",), ("python circusctl",)),
    "runit": (("runsv orders",), ("runsvdir -P /etc/service",)),
    "s6": (("s6-supervise orders",), ("s6-svscan /run/service",)),
    "daemontools": (("supervise orders",), ("svscan /service",)),
    "openrc": (("supervise-daemon orders --start",), ("openrc-run /etc/init.d/orders",)),
    "pm2": (("[PM2 v5.3.0: God Daemon (/root/.pm2)]", "node /usr/bin/pm2-runtime x.js"), ("node pm2.config.js",)),
    "foreman": (("ruby /usr/bin/foreman start", "python /v/bin/honcho start"), ("ruby foreman.rb",)),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A command line as /proc shows it."""

    argv: tuple[str, ...]
    exe: str | None


def sample(text: str) -> Sample:
    """A sample from its written form."""
    line, _, exe = text.partition(" @ ")
    argv = (line[1:-1],) if line.startswith("[") else tuple(shlex.split(line))
    return Sample(argv, exe or None)
