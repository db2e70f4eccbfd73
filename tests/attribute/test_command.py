"""What a command line runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.attribute.command import Form, family, job_label, read_command, words_label


@pytest.mark.parametrize(
    ("argv", "form", "target", "args"),
    [
        (["python", "a.py", "-x"], Form.SCRIPT, "a.py", ("-x",)),
        (["python3.11", "-u", "-W", "ignore", "/srv/a.py"], Form.SCRIPT, "/srv/a.py", ()),
        (["python", "-Wignore", "-X", "dev", "a.py"], Form.SCRIPT, "a.py", ()),
        (["python", "-m", "app.worker", "-v"], Form.MODULE, "app.worker", ("-v",)),
        (["python", "-um", "app"], Form.MODULE, "app", ()),
        (["python", "-mapp"], Form.MODULE, "app", ()),
        (["python", "-c", "import x", "y"], Form.CODE, "import x", ("y",)),
        (["python", "-uc", "import x"], Form.CODE, "import x", ()),
        (["python", "--check-hash-based-pycs", "always", "a.py"], Form.SCRIPT, "a.py", ()),
        (["python"], Form.NONE, "", ()),
        (["python", "-"], Form.NONE, "", ("-",)),
        (["bash", "/dev/fd/3", "x"], Form.NONE, "", ("/dev/fd/3", "x")),
        (["python", "/dev/shm/a.py"], Form.SCRIPT, "/dev/shm/a.py", ()),
        (["python", "-c"], Form.CODE, "", ()),
        (["python", "-m"], Form.MODULE, "", ()),
        (["node", "--max-old-space-size=1", "-r", "x", "server.js", "a"], Form.SCRIPT, "server.js", ("a",)),
        (["node", "-e", "code"], Form.CODE, "code", ()),
        (["bun", "run", "x.ts"], Form.SCRIPT, "x.ts", ()),
        (["ruby", "-I", "lib", "a.rb"], Form.SCRIPT, "a.rb", ()),
        (["perl", "-w", "/usr/bin/x.pl", "--y"], Form.SCRIPT, "/usr/bin/x.pl", ("--y",)),
        (["php", "-d", "a=1", "artisan", "queue:work"], Form.SCRIPT, "artisan", ("queue:work",)),
        (["php8.2", "-r", "x();"], Form.CODE, "x();", ()),
        (["java", "-Xmx1g", "-jar", "/srv/o-1.2.jar", "run"], Form.JAR, "/srv/o-1.2.jar", ("run",)),
        (["java", "-cp", "a:b", "-Dx=y", "com.example.Main", "z"], Form.CLASS, "com.example.Main", ("z",)),
        (["java", "-p", "mods", "-m", "app/com.example.Main"], Form.CLASS, "com.example.Main", ()),
        (["java", "-version"], Form.NONE, "", ()),
        (["dotnet", "/srv/Orders.dll"], Form.SCRIPT, "/srv/Orders.dll", ()),
        (["R", "--no-echo", "--file=report.R"], Form.SCRIPT, "report.R", ()),
        (["/bin/sh", "-c", "a b"], Form.CODE, "a b", ()),
        (["bash", "-o", "pipefail", "x.sh", "y"], Form.SCRIPT, "x.sh", ("y",)),
        (["-bash"], Form.NONE, "", ()),
        (["psql", "-c", "select"], Form.NONE, "", ("-c", "select")),
    ],
)
def test_interpreters_and_what_they_run(argv: list[str], form: Form, target: str, args: tuple[str, ...]) -> None:
    command = read_command(argv)
    assert (command.form, command.target, command.args) == (form, target, args)


def test_the_executable_is_believed_before_argv() -> None:
    assert read_command(["psql", "x.py"], "/usr/bin/python3.11").interpreter == "python"
    assert read_command(["python", "x.py"], "/usr/bin/psql (deleted)").name == "psql"


def test_one_executable_that_is_many_is_known_by_its_call() -> None:
    assert read_command(["/bin/sh", "-c", "x"], "/bin/busybox").interpreter == "shell"
    assert read_command(["busybox", "crond", "-f"], "/bin/busybox").name == "crond"
    assert read_command(["busybox"], "/bin/busybox").name == "busybox"


def test_a_title_is_no_command_line() -> None:
    command = read_command(["gunicorn: master [orders]"], "/usr/bin/python3.11")
    assert command.title == "gunicorn: master [orders]"
    assert command.label == "gunicorn"
    assert read_command(["/opt/My App/bin/x"]).name == "x"


def test_an_empty_command_line_leaves_the_short_name() -> None:
    assert read_command([], None, "kworker/0:1").name == "kworker/0:1"
    assert read_command([], "/usr/bin/x", "y").name == "x"
    assert read_command(["", ""]).name == "?"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("python3.13t", "python"), ("pypy3", "python"), ("python-config", None), ("nodejs", "node"), ("php8.2", "php"),
        ("php-fpm8.2", None), ("javac", None), ("-zsh", "shell"), ("bashful", None),
    ],
)  # fmt: skip
def test_families(name: str, kind: str | None) -> None:
    assert family(name) == kind


@pytest.mark.parametrize(
    ("command", "label"),
    [
        ("python version_history.py", "version_history"),
        ("cd /srv && /usr/bin/flock -n /tmp/l timeout 9m /srv/v/bin/python -u version_history.py --full >> l 2>&1",
         "version_history"),
        ("test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )", "cron.daily"),
        ("[ -x /usr/lib/php/sessionclean ] && /usr/lib/php/sessionclean", "sessionclean"),
        ("/opt/backup.sh", "backup"),
        ("sudo -u postgres pg_dump shop | gzip > /b/x.gz", "pg_dump"),
        ("python -m orders.sync --all", "orders.sync"),
        ("cd /srv/shop && ./manage.py clearsessions", "clearsessions"),
        ("/v/bin/python /srv/shop/manage.py sync_orders -v0", "sync_orders"),
        ("php /var/www/artisan schedule:run", "schedule:run"),
        ("python -c 'import shop; shop.run()'", "python-c"),
        ("pgusher run -- python x.py", "x"),
        ("bash -lc 'cd /x && node sync.js'", "sync"),
        ("sleep 30; curl -s http://localhost/cron", "curl"),
        ("java -jar /srv/report-1.0.jar", "report"),
        ("cd /srv", "cd"),
        ("", "job"),
        ("'", "job"),
        ("#", "job"),
    ],
)  # fmt: skip
def test_a_job_is_known_by_what_it_is_about(command: str, label: str) -> None:
    assert job_label(command) == label


@given(st.lists(st.text(max_size=30), max_size=8), st.one_of(st.none(), st.text(max_size=20)), st.text(max_size=15))
def test_any_words_are_a_command(argv: list[str], exe: str | None, comm: str) -> None:
    command = read_command(argv, exe, comm)
    assert isinstance(command.label, str)
    assert words_label(argv) is not None


@given(
    st.lists(st.sampled_from(["python", "java", "-m", "-c", "-jar", "-W", "-", "--", "", "x", "sh", "-p"]), max_size=8)
)
def test_torn_options_are_read_without_complaint(argv: list[str]) -> None:
    read_command(argv)


@given(st.text(max_size=300))
def test_any_text_has_a_label(text: str) -> None:
    assert isinstance(job_label(text), str)
