"""From a process to what it belongs to: each kind of holder, and which of two comes first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pgusher.attribute import attribute
from pgusher.attribute.terminals import tty_name
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Chain, Holder, HolderKind
from pgusher.model.jobs import Container, Unit
from pgusher.model.process import Process
from tests.attribute.builders import PTS3, PTS4, World, only, told

ID = "0123456789ab" + "c" * 52


def held(world: World, process: Process) -> tuple[Holder, Chain]:
    """The one holder when this process holds a session, and its chain."""
    world.holds(process)
    snapshot = attribute(world.facts())
    return only(snapshot.holders), snapshot.chains[-1]


def test_a_unit_by_its_cgroup() -> None:
    world = World()
    master = world.process(
        "/usr/bin/python3", "/v/bin/gunicorn", "orders.wsgi", uid=33, cgroup="/system.slice/orders-api.service"
    )
    worker = world.process("/usr/bin/python3", "/v/bin/gunicorn", "orders.wsgi", parent=master, uid=33)
    holder, chain = held(world, worker)
    assert (holder.name, holder.kind, holder.program) == ("unit/orders-api", HolderKind.UNIT, "gunicorn")
    assert holder.stop == "systemctl stop orders-api.service"
    assert holder.certainty is Certainty.PROVEN
    assert holder.runs == 0
    assert [link.kind.value for link in chain.links] == ["socket", "process", "parent", "unit"]
    assert "--workers" in (holder.limit or "")


def test_a_unit_that_is_known_with_its_timers() -> None:
    world = World()
    cgroup = "/system.slice/sync.service"
    world.units.append(Unit("sync.service", description="nightly", timers=("sync.timer",), cgroup=cgroup))
    holder, chain = held(world, world.process("python", "sync.py", cgroup=f"{cgroup}/inner"))
    assert holder.name == "unit/sync"
    assert holder.title == "systemd unit sync.service (nightly), started by sync.timer"
    assert holder.stop == (
        "systemctl stop sync.service; it starts again at its time, unless: systemctl stop sync.timer"
    )
    assert chain.links[-1].kind.value == "timer"


def test_a_unit_of_a_users_own_manager() -> None:
    world = World()
    cgroup = "/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service"
    holder, _ = held(world, world.process("python", "sync.py", uid=1000, cgroup=cgroup))
    assert (holder.name, holder.kind) == ("unit/sync+bob", HolderKind.UNIT)
    assert holder.stop == "systemctl --user --machine=bob@ stop sync.service"


def test_instances_of_a_template_are_several_units() -> None:
    world = World()
    for number in (1, 2):
        world.holds(world.process("x", cgroup=f"/system.slice/system-worker.slice/worker@{number}.service"))
    assert [h.name for h in attribute(world.facts()).holders] == ["unit/worker@1", "unit/worker@2"]


@pytest.mark.parametrize(
    "cgroup",
    [
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/user@1000.service/init.scope",
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal-1.scope",
        "/system.slice/ssh.service",
        "/system.slice/docker.service",
        "/system.slice/supervisor.service",
        "/system.slice/system-getty.slice/getty@tty1.service",
        "/init.scope",
        "/",
        "",
        None,
    ],
)
def test_what_only_started_a_process_does_not_name_it(cgroup: str | None) -> None:
    world = World()
    holder, _ = held(world, world.process("python", "/srv/a.py", cgroup=cgroup))
    assert holder.name == "script/a.py"


def test_a_container_comes_before_all_that_runs_in_it() -> None:
    world = World()
    cgroup = f"/system.slice/docker-{ID}.scope"
    world.containers.append(Container("docker", ID, "web-1", "shop/web:3", cgroup=cgroup))
    world.line("python sync.py")
    init = world.process("/sbin/docker-init", "--", "x", cgroup=cgroup)
    cron = world.process("cron", "-f", parent=init)
    shell = world.process("/bin/sh", "-c", "python sync.py", parent=cron)
    holder, chain = held(world, world.process("python", "sync.py", parent=shell))
    assert (holder.name, holder.kind, holder.stop) == ("container/web-1", HolderKind.CONTAINER, "docker stop web-1")
    assert holder.title == "container web-1 (docker 0123456789ab), image shop/web:3"
    assert chain.certainty is Certainty.PROVEN


@pytest.mark.parametrize(
    ("cgroup", "name", "stop"),
    [
        (f"/docker/{ID}", "container/0123456789ab", "docker stop 0123456789ab"),
        (f"/machine.slice/libpod-{ID}.scope/container", "container/0123456789ab", "podman stop 0123456789ab"),
        (f"/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope", "container/0123456789ab", "crictl stop 0123456789ab"),
        (
            f"/kubepods.slice/cri-containerd-{ID}.scope", "container/0123456789ab",
            "nerdctl stop 0123456789ab, or crictl stop 0123456789ab",
        ),
        (f"/kubepods/besteffort/pod1/{ID}", "container/0123456789ab", "stop container 0123456789ab with its runtime"),
        ("/lxc.payload.web/system.slice/a.service", "container/web", "lxc-stop -n web, or lxc stop web"),
    ],
)  # fmt: skip
def test_a_container_that_no_source_knew(cgroup: str, name: str, stop: str) -> None:
    world = World()
    holder, _ = held(world, world.process("python", "a.py", cgroup=cgroup))
    assert (holder.name, holder.stop) == (name, stop)


def test_a_container_of_kubernetes_is_named_by_its_pod() -> None:
    world = World()
    cgroup = f"/kubepods.slice/cri-containerd-{ID}.scope"
    world.containers.append(Container("containerd", ID, "app", pod="orders-7f9c", namespace="shop", cgroup=cgroup))
    holder, _ = held(world, world.process("x", cgroup=cgroup))
    assert holder.name == "container/orders-7f9c:app"
    assert "kubectl -n shop delete pod orders-7f9c" in (holder.stop or "")


def test_gunicorn_and_its_workers_are_one_holder() -> None:
    world = World()
    for directory in ("/srv/a", "/srv/b"):
        argv = ("/usr/bin/python3", "/v/bin/gunicorn", "-w", "2", "orders:app")
        master = world.process(*argv, uid=33, cwd=directory)
        for _ in range(2):
            world.holds(world.process(*argv, parent=master, uid=33, cwd=directory))
    holders = attribute(world.facts()).holders
    assert [h.name for h in holders] == ["gunicorn/orders+a", "gunicorn/orders+b"]
    assert [(len(h.processes), h.runs) for h in holders] == [(2, 1), (2, 1)]
    assert holders[0].kind is HolderKind.SERVICE
    assert holders[0].stop == "end its main process: kill 1000"


def test_titles_of_gunicorn() -> None:
    world = World()
    master = world.process("gunicorn: master [orders.wsgi:application]", uid=33, exe="/usr/bin/python3.11")
    worker = world.process(
        "gunicorn: worker [orders.wsgi:application]", uid=33, parent=master, exe="/usr/bin/python3.11"
    )
    holder, _ = held(world, worker)
    assert holder.name == "gunicorn/orders"


def test_uvicorns_spawned_workers_belong_to_it() -> None:
    world = World()
    main = world.process("/v/bin/python", "/v/bin/uvicorn", "app.main:app", "--workers", "2", uid=33)
    worker = world.process(
        "/v/bin/python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5)",
        "--multiprocessing-fork", parent=main, uid=33,
    )  # fmt: skip
    holder, chain = held(world, worker)
    assert (holder.name, holder.program) == ("uvicorn/app.main", "uvicorn")
    assert "parent" in [link.kind.value for link in chain.links]


def test_grafana_and_its_plugin() -> None:
    world = World()
    server = world.process(
        "grafana", "server", "--config=/etc/grafana.ini", exe="/usr/share/grafana/bin/grafana", uid=33
    )
    plugin = world.process(
        "/var/lib/grafana/plugins/x/gpx_grafana_postgresql_datasource_linux_amd64", parent=server, uid=33,
        comm="gpx_grafana_pos",
    )  # fmt: skip
    world.holds(server)
    holder, _ = held(world, plugin)
    assert (holder.name, holder.program, holder.runs) == ("grafana", "Grafana", 1)
    assert "default 100" in (holder.limit or "")


def test_of_a_tree_of_known_programs_the_topmost_is_the_holder() -> None:
    world = World()
    airflow = world.process("/v/bin/python", "/v/bin/airflow", "webserver", uid=33)
    master = world.process("gunicorn: master [airflow-webserver]", uid=33, parent=airflow)
    holder, _ = held(world, world.process("gunicorn: worker [airflow-webserver]", uid=33, parent=master))
    assert holder.name == "airflow/webserver"


def test_a_window_does_not_own_the_server_that_was_started_from_it() -> None:
    world = World()
    ide = world.process("/opt/idea/bin/idea", uid=1000, exe="/opt/idea/bin/idea")
    server = world.process("/v/bin/python", "/v/bin/uvicorn", "app:app", uid=1000, parent=ide)
    world.holds(server)
    world.holds(ide)
    assert sorted(h.name for h in attribute(world.facts()).holders) == ["intellij/bob", "uvicorn/app"]


def test_a_server_that_a_person_started_is_still_the_server() -> None:
    world = World()
    shell = world.process("-bash", comm="bash", uid=1000, tty=PTS3)
    server = world.process("/v/bin/python", "/v/bin/gunicorn", "orders:app", uid=1000, tty=PTS3, parent=shell)
    holder, _ = held(world, server)
    assert holder.name == "gunicorn/orders"


@pytest.mark.parametrize(
    ("supervisor", "name", "stop"),
    [
        (("/usr/bin/python3", "/usr/bin/supervisord", "-n"), "supervisor/worker.py", "supervisorctl stop"),
        (("runsv", "orders"), "runit/orders", "sv stop orders"),
        (("s6-supervise", "orders"), "s6/orders", "s6-svc -d"),
        (("PM2 v5.3.0: God Daemon (/root/.pm2)",), "pm2/worker.py", "pm2 stop"),
        (("supervise-daemon", "orders", "--start"), "openrc/orders", "rc-service orders stop"),
    ],
)
def test_supervisors_are_asked(supervisor: tuple[str, ...], name: str, stop: str) -> None:
    world = World()
    above = world.process(*supervisor, cgroup="/system.slice/supervisor.service")
    main = world.process("python", "/srv/worker.py", parent=above, uid=33)
    holder, _ = held(world, world.process("python", "/srv/worker.py", parent=main, uid=33))
    assert (holder.name, holder.kind) == (name, HolderKind.SERVICE)
    assert stop in (holder.stop or "")
    assert f"its pid is {main.pid}" in (holder.stop or "")


def test_a_supervised_known_program_is_named_with_its_supervisor() -> None:
    world = World()
    above = world.process("/usr/bin/python3", "/usr/bin/supervisord")
    main = world.process("/v/bin/python", "/v/bin/gunicorn", "orders:app", parent=above, uid=33)
    holder, _ = held(world, world.process("/v/bin/python", "/v/bin/gunicorn", "orders:app", parent=main, uid=33))
    assert (holder.name, holder.program) == ("supervisor/gunicorn:orders", "gunicorn")


@pytest.mark.parametrize("init", ["tini", "dumb-init", "docker-init"])
def test_inits_of_containers_are_looked_through(init: str) -> None:
    world = World()
    holder, _ = held(
        world, world.process("python", "a.py", parent=world.process(init, "--", "python", "a.py", cgroup="/"))
    )
    assert holder.name == "script/a.py"


def test_a_terminal_with_what_runs_in_it() -> None:
    world = World()
    shell = world.process("-bash", comm="bash", uid=1000, tty=PTS3)
    world.holds(world.process("psql", "shop", parent=shell, uid=1000, tty=PTS3))
    world.holds(world.process("python", "x.py", parent=shell, uid=1000, tty=PTS3))
    holder = only(attribute(world.facts()).holders)
    assert (holder.name, holder.kind) == ("terminal/bob@pts3", HolderKind.TERMINAL)
    assert holder.title == "terminal pts/3 of bob: psql, python"
    assert holder.certainty is Certainty.PROVEN
    assert (holder.stop or "").startswith("ask bob")


def test_sudo_leads_to_the_person_and_the_outer_terminal() -> None:
    world = World()
    shell = world.process("-bash", comm="bash", uid=1000, tty=PTS3)
    sudo = world.process("sudo", "-u", "postgres", "psql", parent=shell, tty=PTS3)
    monitor = world.process("sudo", "-u", "postgres", "psql", parent=sudo, tty=PTS4)
    holder, chain = held(world, world.process("psql", parent=monitor, uid=112, tty=PTS4))
    assert holder.name == "terminal/bob@pts3"
    assert "its controlling terminal is pts/4" in told(chain)


def test_two_persons_are_two_holders() -> None:
    world = World()
    for uid, tty in ((1000, PTS3), (1001, PTS4), (1000, PTS4)):
        shell = world.process("-bash", comm="bash", uid=uid, tty=tty)
        world.holds(world.process("psql", parent=shell, uid=uid, tty=tty))
    names = {h.name for h in attribute(world.facts()).holders}
    assert names == {"terminal/bob@pts3", "terminal/alice@pts4", "terminal/bob@pts4"}


@pytest.mark.parametrize(
    ("title", "comm", "name"),
    [
        ("sshd: bob@notty", "sshd", "terminal/bob@ssh"),
        ("sshd-session: bob@notty", "sshd-session", "terminal/bob@ssh"),
        ("sshd: bob [priv]", "sshd", "terminal/bob@ssh"),
        ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", "sshd", "psql"),
        ("sshd: unknown [priv]", "sshd", "psql"),
    ],
)
def test_logins_over_ssh(title: str, comm: str, name: str) -> None:
    world = World()
    login = world.process(title, comm=comm, cgroup="/system.slice/ssh.service")
    holder, _ = held(world, world.process("psql", "-c", "x", parent=login, uid=1000))
    assert holder.name == name


def test_a_port_that_ssh_forwards() -> None:
    world = World()
    holder, _ = held(world, world.process("sshd: bob@pts/3", comm="sshd", uid=1000, cgroup="/system.slice/ssh.service"))
    assert (holder.name, holder.kind) == ("tunnel/bob", HolderKind.TERMINAL)
    assert "the client is behind it" in holder.title


def test_a_multiplexer_that_was_left() -> None:
    world = World()
    server = world.process("tmux", "new", comm="tmux: server", uid=1000)
    shell = world.process("-zsh", comm="zsh", uid=1000, tty=PTS3, parent=server)
    holder, _ = held(world, world.process("psql", parent=shell, uid=1000, tty=PTS3))
    assert holder.name == "terminal/bob@pts3"


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("python3", "/opt/report.py", "--day"), "script/report.py"),
        (("python", "-m", "app.worker"), "script/app.worker"),
        (("python", "-c", "import app"), "script/python-c"),
        (("node", "server.js"), "script/server.js"),
        (("java", "-jar", "/srv/orders-1.2.jar"), "script/orders-1.2.jar"),
        (("java", "-cp", "x", "com.example.Main"), "script/com.example.Main"),
        (("ruby", "x.rb"), "script/x.rb"),
        (("dotnet", "/srv/Orders.dll"), "script/Orders.dll"),
        (("/usr/local/bin/orders-go", "-v"), "program/orders-go"),
        (("bash",), "program/bash"),
        (("/bin/sh", "-c", "x"), "program/shell-c"),
    ],
)
def test_scripts_and_executables(argv: tuple[str, ...], name: str) -> None:
    world = World()
    holder, _ = held(world, world.process(*argv, uid=1000))
    assert (holder.name, holder.kind) == (name, HolderKind.SCRIPT)


def test_instances_of_a_script_are_one_holder_and_users_are_not() -> None:
    world = World()
    first = world.process("python", "report.py", uid=1000, cwd="/srv")
    second = world.process("python", "/srv/./x/../report.py", uid=1000, cwd="/")
    other = world.process("python", "/srv/report.py", uid=1001)
    for process in (first, second, other):
        world.holds(process)
    holders = attribute(world.facts()).holders
    assert [(h.name, h.runs, h.processes) for h in holders] == [
        ("script/report.py+bob", 2, (first.pid, second.pid)),
        ("script/report.py+alice", 1, (other.pid,)),
    ]


def test_scripts_of_one_name_are_told_apart_by_directory() -> None:
    world = World()
    for directory in ("/srv/a", "/srv/b"):
        world.holds(world.process("python", "report.py", uid=1000, cwd=directory))
    assert [h.name for h in attribute(world.facts()).holders] == ["script/report.py+a", "script/report.py+b"]


def test_scripts_that_a_scheduler_runs_are_holders_of_their_own() -> None:
    world = World()
    scheduler = world.process("python", "scheduler.py", cwd="/srv")
    for name in ("job_a.py", "job_b.py"):
        world.holds(world.process("python", name, parent=scheduler, cwd="/srv"))
    assert sorted(h.name for h in attribute(world.facts()).holders) == ["script/job_a.py", "script/job_b.py"]


def test_forked_workers_of_a_script_are_stopped_by_the_one_above_them() -> None:
    world = World()
    main = world.process("python", "main.py", cwd="/srv")
    workers = [world.process("python", "main.py", parent=main, cwd="/srv") for _ in range(2)]
    spawned = world.process("python", "-c", "from multiprocessing.spawn import x", parent=main, cwd="/srv")
    for process in (*workers, spawned):
        world.holds(process)
    holder = only(attribute(world.facts()).holders)
    assert (holder.name, holder.runs, len(holder.processes)) == ("script/main.py", 1, 3)
    assert holder.stop is not None
    assert str(main.pid) in holder.stop


def test_a_shell_s_script_is_not_the_holder_of_a_script_in_another_language() -> None:
    world = World()
    shell = world.process("/bin/bash", "/opt/run.sh", uid=1000)
    report = world.process("python", "report.py", parent=shell, uid=1000, cwd="/srv")
    assert held(world, report)[0].name == "script/report.py"


def test_an_open_file_is_no_name_of_a_script() -> None:
    world = World()
    shell = world.process("bash", "/dev/fd/3", uid=1000)
    psql = world.process("psql", "-f", "x.sql", parent=shell, uid=1000)
    assert held(world, psql)[0].name == "psql"


def test_a_shell_s_script_is_the_holder_of_what_it_runs() -> None:
    world = World()
    loop = world.process("/bin/bash", "/opt/loop.sh", uid=1000)
    shell = world.process("/bin/sh", "-c", "psql -f x.sql", parent=loop, uid=1000)
    psql = world.process("psql", "-f", "x.sql", parent=shell, uid=1000)
    holder, _ = held(world, psql)
    assert (holder.name, holder.program) == ("script/loop.sh", "psql")
    assert holder.stop == f"end it: kill {loop.pid} {psql.pid}"


def test_a_tool_with_nothing_above_it_is_named_by_itself() -> None:
    world = World()
    holder, _ = held(world, world.process("/usr/bin/pg_dump", "-j4", "shop", exe="/usr/lib/postgresql/15/bin/pg_dump"))
    assert (holder.name, holder.program, holder.certainty) == ("pg_dump", "pg_dump", Certainty.PROVEN)


@pytest.mark.parametrize(
    ("values", "certainty"),
    [
        ({"exe": "/opt/x"}, Certainty.PROVEN),
        ({}, Certainty.LIKELY),
        ({"bare": True, "comm": "worker"}, Certainty.GUESSED),
    ],
)
def test_how_sure_an_executable_is(values: dict[str, object], certainty: Certainty) -> None:
    world = World()
    argv = () if values.pop("bare", False) else ("/opt/x",)
    holder, _ = held(world, world.process(*argv, **values))  # type: ignore[arg-type]
    assert holder.certainty is certainty


def test_other_letters_in_a_process_never_get_into_a_name() -> None:
    world = World()
    for argv in (("python", "\x1b]0;x\x07.py"), ("python", "a b'c.py"), ("\u202eevil",), ("--help",)):
        world.holds(world.process(*argv))
    for holder in attribute(world.facts()).holders:
        assert holder.name.isascii()
        assert not set(holder.name) & set(" '\"$`\\\x1b\x07;&|<>()")


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ((136 << 8) | 3, "pts/3"),
        ((136 << 8) | 0xFF | (1 << 20), "pts/511"),
        ((137 << 8) | 1, "pts/257"),
        ((4 << 8) | 1, "tty1"),
        ((4 << 8) | 64, "ttyS0"),
        ((5 << 8) | 1, "console"),
        ((204 << 8) | 64, "ttyAMA0"),
        ((250 << 8) | 7, "tty250.7"),
        (-1, "tty4095.1048575"),
    ],
)
def test_terminals_by_their_device_number(device: int, name: str) -> None:
    assert tty_name(device) == name


def test_a_ring_of_parents_ends() -> None:
    world = World()
    one = world.process("python", "a.py", pid=50, ppid=51)
    two = world.process("python", "b.py", pid=51, ppid=50)
    world.processes[1:] = [replace(one, start_ticks=9), replace(two, start_ticks=9)]
    holder, _ = held(world, world.processes[1])
    assert holder.name == "script/a.py"


def test_a_pid_that_is_listed_twice_is_the_later_process() -> None:
    world = World()
    process = world.process("python", "old.py")
    world.processes.append(replace(process, argv=("python", "new.py"), start_ticks=process.start_ticks + 5))
    assert held(world, process)[0].name == "script/new.py"
    world.processes.reverse()
    assert attribute(world.facts()).holders[0].name == "script/new.py"
