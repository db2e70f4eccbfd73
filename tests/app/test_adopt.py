"""`pgusher cron` on real crontabs: what is written is what was shown, and cron itself takes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgusher.app.adopt import Cron, calendar_pause, overlaps, time_span
from pgusher.app.crontabs import Crontabs, Table
from pgusher.collect.cron.crontab import parse
from pgusher.guard.history_entry import Entry
from pgusher.model.evidence import Gap
from pgusher.model.jobs import CronKind
from tests.bed.holder import ROOT
from tests.bed.requirements import needs_root

needs_crontab = pytest.mark.skipif(
    not os.path.exists("/usr/share/doc/cron/copyright") or shutil.which("crontab") is None,
    reason="Debian's cron is not installed",
)
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND

# In a mount namespace, where directories of ours lie over the real ones: no crontab of this machine is touched.
ENTER = """
for place in etc/crontab etc/cron.d var/spool/cron/crontabs etc/systemd/system; do
    mount --bind "$1/$place" "/$place" || exit 77
done
shift
exec "$@"
"""
TABLE = (
    "# keep\r\n# caf\udce9 \\r \x1b[0m\nMAILTO=x\n*/10 * * * * python /srv/version_history.py\n"
    "0 3 * * * cd /srv && ./load --password=hunter2 | mail\n"
    "@reboot daemon\n5 * * * * x +\\%F %in\n* * * * * nohup y\n"
)
SYSTEM = "SHELL=/bin/sh\n17 * * * * root cd / && run-parts --report /etc/cron.hourly\n*/5 * * * * root  tidy\n"


class Host:
    """Crontabs of a host, as a command in a namespace of its own sees them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "root"
        for name in ("etc/cron.d", "var/spool/cron/crontabs", "etc/systemd/system/timers.target.wants", "bin"):
            (self.root / name).mkdir(parents=True)
        spool = self.root / "var/spool/cron/crontabs"
        spool.chmod(0o1730)
        shutil.chown(spool, group="crontab")
        (self.root / "etc/crontab").write_bytes(SYSTEM.encode())
        (self.root / "etc/cron.d/tools").write_text("@daily root /opt/tool\n")
        (self.root / "etc/cron.d/tools").chmod(0o640)
        program = self.root / "bin/pgusher"
        program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT}/src exec {sys.executable} -m pgusher "$@"\n')
        program.chmod(0o755)
        (place / "table").write_bytes(TABLE.encode("utf-8", "surrogateescape"))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = ["/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-c", ENTER, "sh", str(self.root)]
        path = f"{self.root}/bin:{os.environ['PATH']}"
        environ = {**os.environ, "PGUSHER_STATE": str(self.place / "state"), "PATH": path, "PYTHONPATH": f"{ROOT}/src"}
        return subprocess.run(
            [*words, *command], env=environ, capture_output=True, text=True, errors="surrogateescape", check=False
        )

    def cron(self, *words: str) -> subprocess.CompletedProcess[str]:
        main = "import sys; from pgusher.surfaces.cli.main import main; sys.argv[0] = sys.argv.pop(1); sys.exit(main())"
        return self.run(sys.executable, "-c", main, str(self.root / "bin/pgusher"), "cron", *words)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    made = Host(tmp_path_factory.mktemp("host"))
    assert made.run("crontab", str(made.place / "table")).returncode == 0
    return made


@needs_root
@needs_crontab
def test_a_host_s_crontabs_are_adopted(host: Host) -> None:
    before = host.run("crontab", "-l").stdout
    shown = json.loads(host.cron("adopt", "--json").stdout)
    assert host.run("crontab", "-l").stdout == before
    by_place = {change["place"]: change for change in shown["changes"]}
    assert set(by_place) == {"/etc/crontab", "/etc/cron.d/tools", "crontab of root"}
    jobs = by_place["crontab of root"]["jobs"]
    assert [(job["state"], job["name"], job["limit"]) for job in jobs] == [
        ("adopted", "version_history", "9m"),
        ("adopted", "load", "21h"),
        ("left", "", ""),
        ("adopted", "x", "54m"),
        ("left", "", ""),
    ]
    assert "hunter2" not in json.dumps(shown)
    page = host.cron("adopt", "--width", "120", "--color", "never").stdout
    assert "5 jobs would be guarded, 0 already, 3 left as they are" in page
    assert "pgusher cron adopt --apply" in page

    done = host.cron("adopt", "--apply", "--json")
    assert done.returncode == 0, done.stderr
    written = json.loads(done.stdout)
    assert written["applied"] is True
    program = host.root / "bin/pgusher"
    assert (host.root / "etc/crontab").read_text() == SYSTEM.replace(
        "root  tidy", f"root  {program} run --timeout 4m --name tidy -- tidy"
    )
    assert (host.root / "etc/cron.d/tools").read_text() == (
        f"@daily root {program} run --timeout 21h --name tool -- /opt/tool\n"
    )
    assert (host.root / "etc/cron.d/tools").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(host.root / "etc/cron.d")) == ["tools"]
    after = host.run("crontab", "-l").stdout
    assert after.splitlines()[3] == (
        f"*/10 * * * * {program} run --timeout 9m --name version_history -- python /srv/version_history.py"
    )
    assert "-- /bin/sh -c 'cd /srv && ./load --password=hunter2 | mail'" in after
    assert f"5 * * * * {program} run --timeout 54m --name x -- x +\\%F %in" in after
    backups = {change["place"]: Path(change["backup"]) for change in written["changes"]}
    assert backups["/etc/crontab"].read_text() == SYSTEM
    # Byte for byte, though `crontab -l` itself would show other ones.
    assert backups["crontab of root"].read_bytes() == TABLE.encode("utf-8", "surrogateescape")
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in backups.values())

    again = json.loads(host.cron("adopt", "--json").stdout)
    assert {job["state"] for change in again["changes"] for job in change["jobs"]} == {"guarded", "left"}
    assert all(change["diff"] == [] for change in again["changes"])


@needs_root
@needs_crontab
def test_no_name_is_given_that_a_guarded_line_has() -> None:
    raw = (
        b"* * * * * pgusher run -n report -- python a.py\n* * * * * pgusher run -- python load.py --all\n"
        b"* * * * * python report.py\n* * * * * python load.py\n"
    )
    parsed = parse(raw, CronKind.USER, "t", user="bob")

    class One(Crontabs):
        def read(self) -> tuple[list[Table], list[Gap]]:
            return [Table(CronKind.USER, "crontab of bob", "bob", raw, parsed)], []

    ((adoption,), _) = Cron(One(""), program="pgusher").adoptions()
    assert [line.name for line in adoption.changes] == ["report-2", "load-2"]


def test_a_crontab_of_thousands_of_lines_of_one_script_takes_no_longer_for_that() -> None:
    def steps(lines: int) -> int:
        raw = b"* * * * * python a.py\n" * lines
        parsed = parse(raw, CronKind.USER, "t", user="bob")
        counted = 0

        class One(Crontabs):
            def read(self) -> tuple[list[Table], list[Gap]]:
                return [Table(CronKind.USER, "crontab of bob", "bob", raw, parsed)], []

        def count(frame: FrameType, event: str, arg: object) -> Any:
            nonlocal counted
            counted += frame.f_code.co_name == "terms"
            return count

        cron = Cron(One(""), program="pgusher")
        before = sys.gettrace()
        sys.settrace(count)
        try:
            ((adoption,), _) = cron.adoptions()
        finally:
            sys.settrace(before)
        assert len({line.name for line in adoption.changes}) == lines
        return counted

    assert steps(400) < 6 * steps(100)


def test_one_job_alone(tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.run("crontab", str(host.place / "table")).returncode == 0
    assert host.cron("adopt", "version_history", "--apply").returncode == 0
    after = host.run("crontab", "-l").stdout
    assert after.count("pgusher") == 1
    assert (host.root / "etc/crontab").read_text() == SYSTEM
    wrong = host.cron("adopt", "nobody")
    assert (wrong.returncode, '"nobody"' in wrong.stderr) == (2, True)


@needs_root
@needs_crontab
def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    host = Host(tmp_path)
    (tmp_path / "elsewhere").write_text("@daily root /opt/tool\n")
    (host.root / "etc/cron.d/tools").unlink()
    (host.root / "etc/cron.d/tools").symlink_to(tmp_path / "elsewhere")
    done = host.cron("adopt", "/etc/cron.d/tools", "--apply")
    assert (done.returncode, "it is a link" in done.stderr) == (4, True)
    assert (tmp_path / "elsewhere").read_text() == "@daily root /opt/tool\n"


@needs_root
@needs_crontab
def test_what_has_no_limit_is_found(tmp_path: Path) -> None:
    host = Host(tmp_path)
    done = host.cron("check", "--json")
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == 1
    assert [(one["kind"], one["what"]) for one in found if one["counts"]] == [
        ("no limit", "/etc/crontab:3 tidy"),
        ("no limit", "/etc/cron.d/tools:1 tool"),
    ]
    assert host.cron("adopt", "--apply").returncode == 0
    done = host.cron("check", "--color", "never", "--width", "100")
    assert done.returncode == 0, done.stdout
    (host.root / "etc/cron.d/tools").write_text("@reboot root pgusher run -- /opt/tool --timeout 5\n")
    done = host.cron("check", "--json")
    assert (done.returncode, "has no --timeout" in done.stdout) == (1, True)
    (host.root / "etc/cron.d/tools").write_text("@daily root pgusher run -- /opt/tool --timeout 5\n")
    assert host.cron("check").returncode == 0, "its limit follows from its schedule"
    (host.root / "etc/cron.d/tools").write_text("@daily root pgusher run --timeout none -- /opt/tool\n")
    done = host.cron("check", "--json")
    assert (done.returncode, "was told to set none" in done.stdout) == (1, True)


UNIT = "[Service]\nType=oneshot\nExecStart=/opt/load\n"


def units(root: Path, timer: str, service: str = UNIT) -> Cron:
    place = root / "etc/systemd/system"
    (place / "timers.target.wants").mkdir(parents=True)
    (place / "load.service").write_text(service)
    (place / "load.timer").write_text(f"[Timer]\n{timer}\n")
    (place / "timers.target.wants/load.timer").symlink_to("../load.timer")
    return Cron(root=str(root))


def test_a_unit_gets_a_drop_in(tmp_path: Path) -> None:
    cron = units(tmp_path, "OnCalendar=*:0/10")
    (one,) = cron.drop_ins()
    assert (one.unit, one.timers, one.limit, one.packaged) == ("load.service", ("load.timer",), "9m", False)
    assert one.text == "[Service]\nTimeoutStartSec=9m\n"
    found = [trouble for trouble in cron.troubles()[0] if trouble.what == "load.service"]
    assert [(one.kind, one.remedy, one.counts) for one in found] == [
        ("no start timeout", "pgusher cron adopt --systemd", True)
    ]
    assert cron.write_drop_in(one) == "/etc/systemd/system/load.service.d/pgusher.conf"
    assert cron.drop_ins() == []
    with pytest.raises(Exception, match="could not be written: file exists"):
        cron.write_drop_in(one)


@pytest.mark.parametrize(
    "service",
    [
        "[Service]\nType=oneshot\nTimeoutStartSec=5min\n",
        "[Service]\nType=oneshot\nTimeoutSec=5min\n",
        "[Service]\nExecStart=/opt/x\n",
    ],
)
def test_a_unit_that_has_a_limit_or_needs_none(tmp_path: Path, service: str) -> None:
    assert units(tmp_path, "OnCalendar=daily", service).drop_ins() == []


def test_a_timer_that_is_not_understood(tmp_path: Path) -> None:
    (one,) = units(tmp_path, "OnCalendar=Mon..Fri *-*-1/2 10:00:00 Europe/Berlin").drop_ins()
    assert (one.limit, one.text) == ("", "")


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("hourly", HOUR),
        ("daily", DAY),
        ("*:0/10", 10 * MINUTE),
        ("*:00/15:00", 15 * MINUTE),
        ("*-*-* 03:30:00", DAY),
        ("*-*-* 00/6:00:00", 6 * HOUR),
        ("*-*-* 6,18:00", 12 * HOUR),
        ("mon..fri 09:00", DAY),
        ("Sun 03:00", 7 * DAY),
        ("*-*-01 00:00:00", 28 * DAY),
        ("*-01,07-01 00:00", 181 * DAY),
        ("03:30:17", None),
        ("2026-01-01 00:00", None),
        ("", None),
    ],
)
def test_how_often_a_calendar_comes(text: str, pause: int | None) -> None:
    assert calendar_pause(text) == pause


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("text", ["*:0/10", "*-*-* 00/6:00:00", "mon..fri 09:00", "*-*-01 00:00:00"])
def test_systemd_says_the_same(text: str) -> None:
    command = ["systemd-analyze", "calendar", "--iterations=40", text]
    environ = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    from datetime import datetime

    times = [
        line.partition(": ")[2].strip() for line in done.stdout.splitlines() if "UTC" in line and "in UTC" not in line
    ]
    moments = [datetime.fromisoformat(one[4:23] + "+00:00").timestamp() for one in times]
    pauses = [round(b - a) for a, b in pairwise(moments)]
    assert min(pauses) * SECOND == calendar_pause(text), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("10min", 10 * MINUTE),
        ("1h 30min", 90 * MINUTE),
        ("90", 90 * SECOND),
        ("1 d", DAY),
        ("x", None),
        ("5 x", None),
        ("", None),
    ],
)
def test_a_span_of_time(text: str, span: int | None) -> None:
    assert time_span(text) == span


@given(st.text(max_size=30))
def test_no_text_raises(text: str) -> None:
    calendar_pause(text)
    time_span(text)


def test_runs_that_overlapped() -> None:
    def run(number: int, started: int, ended: int | None, ending: str = "done", job: str = "load") -> Entry:
        return Entry(f"r{number}", job, "x", started, ending, ended)

    assert overlaps([run(1, 0, 10), run(2, 10, 20), run(3, 0, 30, job="other")]) == []
    (one,) = overlaps([run(1, 0, 10), run(2, 5, 20), run(3, 15, 15, "skipped")])
    assert (one.what, one.why) == (
        "load",
        (
            "1 of 3 runs began before the last one had ended; "
            "1 of 3 runs were skipped, as the last one was still there or slots were taken"
        ),
    )


def test_a_crontab_that_may_not_be_asked_is_a_gap(tmp_path: Path) -> None:
    # Where no crontab(1) can be run, that is a gap, and no table is changed.
    from pgusher.app.crontabs import Crontabs

    program = tmp_path / "crontab"
    program.write_text("#!/bin/sh\necho 'you may not' >&2; exit 1\n")
    program.chmod(0o755)
    tables: Any = Crontabs(str(tmp_path / "kept"), crontab=str(program))
    tables._root = False
    found, gaps = tables.read()
    assert (found, [gap.why for gap in gaps]) == ([], ["you may not"])
