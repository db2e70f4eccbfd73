"""Units: which cgroup is of which, and what their files say of them, as systemd itself reads both."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect import rooted
from pgusher.collect.systemd import UnitSource, files, look_units, names
from pgusher.model.jobs import Unit

ID = "0123456789abcdef" * 4
SYSTEM = "etc/systemd/system"


@pytest.mark.parametrize(
    ("cgroup", "unit", "owner"),
    [
        ("/system.slice/orders-api.service", "orders-api.service", None),
        ("/system.slice/cron.service", "cron.service", None),
        ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", None),
        ("/a.slice/a-b.slice/a-b-c.slice/x.service", "x.service", None),
        ("/system.slice/x.service/worker/2", "x.service", None),
        ("/system.slice/dev-disk-by\\x2dlabel-x.swap", "dev-disk-by\\x2dlabel-x.swap", None),
        ("/system.slice/app\\x2done@a-b.service", "app\\x2done@a-b.service", None),
        ("/system.slice/run-u12.service", "run-u12.service", None),
        ("/system.slice/run-r0a1b2c.scope", "run-r0a1b2c.scope", None),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service", "sync.service", 1000),
        ("/user.slice/user-1000.slice/user@1000.service/sync.service", "sync.service", 1000),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/app-a.slice/x@1.service", "x@1.service", 1000),
        ("/user.slice/user-1000.slice/user@1000.service/init.scope", "user@1000.service", None),
        ("/user.slice/user-1000.slice/user@1000.service", "user@1000.service", None),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope", "vte-spawn-1.scope", 1000),
        (
            "/machine.slice/systemd-nspawn@web.service/payload/system.slice/x.service",
            "systemd-nspawn@web.service",
            None,
        ),
        ("/system.slice/_cgroup.service", "cgroup.service", None),
        ("/../../system.slice/x.service", "x.service", None),
        ("/../../user.slice/user-5.slice/user@5.service/app.slice/y.service", "y.service", 5),
    ],
)
def test_unit_of_a_cgroup(cgroup: str, unit: str, owner: int | None) -> None:
    assert names.unit_of(cgroup) == names.UnitPath(unit, owner)


@pytest.mark.parametrize(
    "cgroup",
    [
        "/",
        "",
        "/init.scope",
        "/system.slice",
        "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-1000.slice/session-c2.scope",
        f"/system.slice/docker-{ID}.scope",
        f"/system.slice/docker-{ID}.scope/system.slice/inner.service",
        f"/machine.slice/libpod-{ID}.scope/container",
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-{ID}.scope",
        f"/docker/{ID}/system.slice/inner.service",
        "/lxc.payload.web/system.slice/inner.service",
        "/machine.slice/machine-web.scope",
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + ID + ".scope",
        "/../x.service",
        "/../../x.slice/x.service",
        "/..",
        "/system.slice/not a unit.service",
        "/system.slice/evil\x1b[2J.service",
        "/system.slice/" + "x" * 250 + ".service",
        "/system.slice/.service",
    ],
)
def test_cgroups_of_no_unit(cgroup: str) -> None:
    assert names.unit_of(cgroup) is None


@settings(max_examples=2000)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=6), st.sampled_from(["user@1.service", "a.slice", "..", "x.scope", "b@c.service", "_"])
        )
    )
)
def test_no_path_raises(parts: list[str]) -> None:
    unit = names.unit_of("/".join(["", *parts]))
    assert unit is None or names._NAME.fullmatch(unit.name)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("Report for %i", "report@db-1.service", "Report for db-1"),
        ("Report for %I", "report@db-1\\x2da.service", "Report for db/1-a"),
        ("%p of %n (%N)", "report@x.service", "report of report@x.service (report@x)"),
        ("%j %J", "a-b\\x20c.service", "b\\x20c b c"),
        ("100 %% of %H", "x.service", "100 % of %H"),
        ("%", "x.service", "%"),
        ("%I", "x.service", ""),
    ],
)
def test_specifiers(text: str, name: str, value: str) -> None:
    assert names.expand(text, name) == value


@pytest.mark.skipif(shutil.which("systemd-escape") is None, reason="systemd-escape is not installed")
@pytest.mark.parametrize("text", ["a-b", "a\\x2db", "srv-app\\x2done-x", "caf\\xc3\\xa9"])
def test_unescaping_is_systemds(text: str) -> None:
    done = subprocess.run(["systemd-escape", "--unescape", text], capture_output=True, text=True, check=True)
    assert names.unescape(text) == done.stdout.rstrip("\n")


UNIT = b"""# comment
; another
[Unit]
Description=Orders \\
    # a comment in between
  ; and another
    API
Documentation=man:x
[Service]
ExecStart=/bin/x \\
   --password s3cr3t
Environment=A=b
 Type = simple
[Unit]
After=a.service
After=
nonsense
=x
"""


def test_a_unit_file() -> None:
    settings_ = files.parse(UNIT)
    assert settings_[("Unit", "Description")].split() == ["Orders", "API"]
    assert settings_[("Service", "Type")] == "simple"
    assert settings_["Unit", "After"] == ""
    assert settings_[("Service", "Environment")] == "A=b"


@settings(max_examples=2000)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from([b"[Unit]", b"\n", b"Description=", b"\\", b"\\\n", b"#", b"x", b"\xff", b"\0", b"="])
        ).map(b"".join),
    )
)
def test_no_unit_file_raises(raw: bytes) -> None:
    for key, value in files.parse(raw).items():
        "".join([*key, value]).encode()


def test_a_huge_unit_file_takes_linear_time() -> None:
    for raw in (
        b"\\\n" * 300_000,
        b"[" * 500_000,
        b"[U]\nA=" + b"x" * 500_000,
        b"# \n" * 200_000,
        b"a=\\\n#\n" * 100_000,
    ):
        files.parse(raw)


def put(root: Path, name: str, text: str = "") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def one(root: Path, cgroup: str) -> Unit:
    facts = look_units([cgroup], str(root))
    assert facts.gaps == ()
    (unit,) = facts.units
    return unit


def test_a_unit_with_everything(tmp_path: Path) -> None:
    put(tmp_path, "lib/systemd/system/orders-api.service", "[Unit]\nDescription=Orders API\n")
    put(tmp_path, "lib/systemd/system/orders-api.timer", "[Timer]\nOnCalendar=hourly\n")
    put(tmp_path, f"{SYSTEM}/nightly.timer", "[Timer]\nUnit=orders-api.service\n")
    put(tmp_path, f"{SYSTEM}/other.timer", "[Timer]\n")
    cgroup = "/system.slice/orders-api.service"
    assert one(tmp_path, cgroup) == Unit(
        "orders-api.service",
        description="Orders API",
        file="/lib/systemd/system/orders-api.service",
        timers=("nightly.timer", "orders-api.timer"),
        cgroup=cgroup,
    )


def test_only_what_is_enabled_starts_anything(tmp_path: Path) -> None:
    for timer in ("a", "b", "made"):
        place = "run/systemd/transient" if timer == "made" else "usr/lib/systemd/system"
        put(tmp_path, f"{place}/{timer}.timer", "[Timer]\nUnit=x.service\n")
    (tmp_path / SYSTEM / "timers.target.wants").mkdir(parents=True)
    (tmp_path / SYSTEM / "timers.target.wants/a.timer").symlink_to("/usr/lib/systemd/system/a.timer")
    assert one(tmp_path, "/system.slice/x.service").timers == ("a.timer", "made.timer")


def test_template_units_and_timers(tmp_path: Path) -> None:
    put(tmp_path, "lib/systemd/system/dump@.service", "[Unit]\nDescription=Dump of %I\n")
    put(tmp_path, "lib/systemd/system/dump@.timer", "[Timer]\nOnCalendar=daily\n")
    put(tmp_path, "lib/systemd/system/weekly@.timer", "[Timer]\nUnit=dump@%i.service\n")
    put(tmp_path, "lib/systemd/system/fixed@.timer", "[Timer]\nUnit=dump@other.service\n")
    unit = one(tmp_path, "/system.slice/system-dump.slice/dump@db\\x2d1.service")
    assert unit.description == "Dump of db-1"
    assert unit.file == "/lib/systemd/system/dump@.service"
    assert unit.timers == ("dump@db\\x2d1.timer", "weekly@db\\x2d1.timer")
    (tmp_path / SYSTEM / "timers.target.wants").mkdir(parents=True)
    (tmp_path / SYSTEM / "timers.target.wants/fixed@1.timer").symlink_to("/lib/systemd/system/fixed@.timer")
    assert one(tmp_path, "/system.slice/system-dump.slice/dump@other.service").timers == ("fixed@1.timer",)
    assert one(tmp_path, "/system.slice/system-dump.slice/dump@db.service").timers == ()
    put(tmp_path, "lib/systemd/system/dump@db.service", "[Unit]\nDescription=Its own\n")
    assert one(tmp_path, "/system.slice/system-dump.slice/dump@db.service").description == "Its own"


def test_precedence_drop_ins_and_masks(tmp_path: Path) -> None:
    put(tmp_path, "lib/systemd/system/app-web.service", "[Unit]\nDescription=vendor\n")
    put(tmp_path, f"{SYSTEM}/app-web.service", "[Unit]\nDescription=admin\n")
    cgroup = "/system.slice/app-web.service"
    assert one(tmp_path, cgroup).description == "admin"
    put(tmp_path, "lib/systemd/system/app-web.service.d/50-x.conf", "[Unit]\nDescription=vendor's drop-in\n")
    put(tmp_path, f"{SYSTEM}/app-.service.d/20-x.conf", "[Unit]\nDescription=by prefix\n")
    assert one(tmp_path, cgroup).description == "vendor's drop-in"
    put(tmp_path, "run/systemd/system/app-web.service.d/50-x.conf", "[Unit]\nDescription=\n")
    assert one(tmp_path, cgroup).description is None
    put(tmp_path, "lib/systemd/system/app-web.timer", "[Timer]\n")
    assert one(tmp_path, cgroup).timers == ("app-web.timer",)
    (tmp_path / SYSTEM / "app-web.timer").symlink_to("/dev/null")
    assert one(tmp_path, cgroup).timers == ()


def test_links_lead_within_the_root(tmp_path: Path) -> None:
    put(tmp_path, "srv/app/x.service", "[Unit]\nDescription=linked\n")
    (tmp_path / SYSTEM).mkdir(parents=True)
    (tmp_path / SYSTEM / "x.service").symlink_to("/srv/app/x.service")
    (tmp_path / SYSTEM / "up.service").symlink_to("../../../../../../../../etc/passwd")
    unit = one(tmp_path, "/system.slice/x.service")
    assert (unit.description, unit.file) == ("linked", "/etc/systemd/system/x.service")
    assert one(tmp_path, "/system.slice/up.service").description is None


def test_units_of_a_user(tmp_path: Path) -> None:
    put(tmp_path, "etc/passwd", "bob:x:1000:1000::/home/bob:/bin/sh\n")
    put(tmp_path, "home/bob/.config/systemd/user/sync.service", "[Unit]\nDescription=Bob's\n")
    put(tmp_path, "home/bob/.config/systemd/user/sync.timer", "[Timer]\n")
    put(tmp_path, f"{SYSTEM}/sync.service", "[Unit]\nDescription=the system's\n")
    cgroup = "/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service"
    assert one(tmp_path, cgroup) == Unit(
        "sync.service",
        user_unit=True,
        owner_uid=1000,
        description="Bob's",
        file="/home/bob/.config/systemd/user/sync.service",
        timers=("sync.timer",),
        cgroup=cgroup,
    )
    assert one(tmp_path, "/system.slice/sync.service").description == "the system's"


def test_a_unit_without_a_file(tmp_path: Path) -> None:
    unit = one(tmp_path, "/system.slice/run-u7.service")
    assert (unit.file, unit.description, unit.timers, unit.transient) == (None, None, (), True)
    put(tmp_path, "run/systemd/transient/made.service", "[Unit]\nDescription=/bin/x\n")
    assert one(tmp_path, "/system.slice/made.service").transient
    assert not one(tmp_path, "/system.slice/plain.service").transient


def test_a_hostile_description(tmp_path: Path) -> None:
    put(tmp_path, f"{SYSTEM}/x.service", "[Unit]\nDescription=\x1b[2J --password s3cr3tW0rd " + "y" * 5000 + "\n")
    description = one(tmp_path, "/system.slice/x.service").description
    assert description is not None
    assert "s3cr3tW0rd" not in description
    assert len(description) == 200


def test_units_outside_of_our_container_are_a_gap(tmp_path: Path) -> None:
    put(tmp_path, f"{SYSTEM}/x.service", "[Unit]\nDescription=of the container, not of the host\n")
    facts = look_units(["/../x.service", "/../../system.slice/x.service"], str(tmp_path))
    assert [(unit.name, unit.description) for unit in facts.units] == [("x.service", None)]
    assert [(gap.source, gap.what, gap.count) for gap in facts.gaps] == [("systemd", "the units of 1 cgroups", 1)]


def test_one_unit_comes_with_each_of_its_cgroups(tmp_path: Path) -> None:
    facts = look_units(
        ["/system.slice/x.service/b", "/system.slice/x.service/a", "/", "/system.slice/x.service/a"], str(tmp_path)
    )
    assert [(unit.name, unit.cgroup) for unit in facts.units] == [
        ("x.service", "/system.slice/x.service/a"),
        ("x.service", "/system.slice/x.service/b"),
    ]


def test_a_second_look_reads_nothing_until_something_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, f"{SYSTEM}/x.service", "[Unit]\nDescription=old\n")
    now = [0.0]
    source = UnitSource(str(tmp_path), clock=lambda: now[0])
    first = source.look(["/system.slice/x.service"])
    reads: list[str] = []
    real = rooted.read_file

    def reading(root: str, path: str, limit: int = rooted.LIMIT) -> bytes:
        reads.append(path)
        return real(root, path, limit)

    monkeypatch.setattr(rooted, "read_file", reading)
    assert source.look(["/system.slice/x.service"]).units[0] is first.units[0]
    now[0] += 6
    assert source.look(["/system.slice/x.service"]).units[0] is first.units[0]
    assert reads == []
    put(tmp_path, f"{SYSTEM}/x.timer", "[Timer]\n")
    now[0] += 6
    assert source.look(["/system.slice/x.service"]).units[0].timers == ("x.timer",)
    put(tmp_path, f"{SYSTEM}/x.service", "[Unit]\nDescription=new\n")
    now[0] += 61
    assert source.look(["/system.slice/x.service"]).units[0].description == "new"


@pytest.mark.skipif(not Path("/usr/lib/systemd/system").exists(), reason="no units are installed here")
def test_the_units_of_this_host() -> None:
    installed = sorted(path.name for path in Path("/usr/lib/systemd/system").glob("*.service") if "@" not in path.name)[
        :50
    ]
    facts = look_units([f"/system.slice/{name}" for name in installed])
    assert [unit.name for unit in facts.units] == installed
    assert sum(unit.description is not None for unit in facts.units) > len(installed) // 2
    assert all(unit.file for unit in facts.units)
