"""All places of all daemons, what may not be read, and how little a second look costs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from pgusher.collect import rooted
from pgusher.collect.cron import CronFacts, CronSource, look_cron
from pgusher.collect.users import Users
from pgusher.model.jobs import CronEntry, CronKind
from tests.bed.requirements import needs_root

S = "s3cr3tW0rd"
SRC = str(Path(__file__).resolve().parents[3] / "src")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "etc/passwd", "root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n")
    return tmp_path


def put(root: Path, name: str, text: str | bytes, mode: int = 0o644) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def debian(root: Path) -> None:
    put(root, "usr/sbin/cron", "")
    put(root, "etc/debian_version", "12\n")


def script(path: str, schedule: str) -> CronEntry:
    return CronEntry(CronKind.RUN_PARTS, path, 0, schedule, path, "root", name=path.rpartition("/")[2])


def commands(facts: CronFacts) -> list[str]:
    return [entry.command for entry in facts.entries]


def test_nothing_there_is_no_gap(tmp_path: Path) -> None:
    assert look_cron(str(tmp_path)) == CronFacts(())


def test_all_places_of_debian(root: Path) -> None:
    debian(root)
    put(root, "etc/crontab", "17 * * * * root cd / && run-parts --report /etc/cron.hourly\n"
        "25 6 * * * root test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }\n")  # fmt: skip
    put(root, "etc/cron.d/reports", "*/5 * * * * bob report\n")
    put(root, "etc/cron.d/reports.dpkg-dist", "*/5 * * * * bob old\n")
    put(root, "etc/cron.d/.placeholder", "x\n")
    (root / "etc/cron.d/directory").mkdir()
    put(root, "var/spool/cron/crontabs/bob", "@daily mine\n")
    put(root, "var/spool/cron/crontabs/tmp.Xq1", "@daily torn")
    put(root, "etc/cron.hourly/sync", "#!/bin/sh\n", 0o755)
    put(root, "etc/cron.daily/rotate", "#!/bin/sh\n", 0o755)
    put(root, "etc/cron.daily/rotate.sh", "#!/bin/sh\n", 0o755)
    put(root, "etc/cron.daily/not-executable", "#!/bin/sh\n")
    put(root, "etc/cron.monthly/audit", "#!/bin/sh\n", 0o755)
    facts = look_cron(str(root))
    assert facts.gaps == ()
    assert facts.entries[2:] == (
        CronEntry(CronKind.SYSTEM, "/etc/cron.d/reports", 1, "*/5 * * * *", "report", "bob"),
        CronEntry(CronKind.USER, "/var/spool/cron/crontabs/bob", 1, "@daily", "mine", "bob"),
        script("/etc/cron.hourly/sync", "17 * * * *"),
        script("/etc/cron.daily/rotate", "25 6 * * *"),
        script("/etc/cron.monthly/audit", "@monthly"),
    )


def test_red_hat(root: Path) -> None:
    put(root, "usr/sbin/crond", "")
    put(root, "etc/cron.d/0hourly.cron", "-01 * * * * root run-parts /etc/cron.hourly\n")
    put(root, "etc/cron.d/app.rpmsave", "* * * * * root old\n")
    put(root, "var/spool/cron/bob", "* * * * * mine\n")
    put(root, "etc/cron.hourly/0anacron.sh", "#!/bin/sh\n", 0o755)
    put(root, "etc/anacrontab", "1 5 cron.daily nice run-parts /etc/cron.daily\n")
    put(root, "etc/cron.daily/logs", "", 0o755)
    facts = look_cron(str(root))
    assert facts.gaps == ()
    assert [(entry.kind.value, entry.schedule, entry.command, entry.user) for entry in facts.entries] == [
        ("system crontab", "01 * * * *", "run-parts /etc/cron.hourly", "root"),
        ("user crontab", "* * * * *", "mine", "bob"),
        ("anacron", "1 5", "nice run-parts /etc/cron.daily", "root"),
        ("run-parts", "01 * * * *", "/etc/cron.hourly/0anacron.sh", "root"),
        ("run-parts", "@daily", "/etc/cron.daily/logs", "root"),
    ]


def test_alpine_has_one_spool_under_two_names(root: Path) -> None:
    put(root, "bin/busybox", "")
    (root / "usr/sbin").mkdir(parents=True)
    (root / "usr/sbin/crond").symlink_to("/bin/busybox")
    put(root, "etc/crontabs/root", "*/15 * * * * run-parts /etc/periodic/15min\n0 2 * * * date +%F")
    (root / "var/spool/cron").mkdir(parents=True)
    (root / "var/spool/cron/crontabs").symlink_to("/etc/crontabs")
    put(root, "etc/periodic/15min/poll", "", 0o755)
    facts = look_cron(str(root))
    assert facts.gaps == ()
    assert commands(facts) == ["run-parts /etc/periodic/15min", "date +%F", "/etc/periodic/15min/poll"]


def test_jobs_of_at_that_run_and_that_wait(root: Path) -> None:
    mark = "cd / || {\n\t echo 'Execution directory inaccessible' >&2\n\t exit 1\n}\n"
    for name, uid, command in (("=0000101b2c3d4", 1000, "running"), ("a0000201b2c3d4", 1000, "waiting"),
                               ("a0000301b2c3d4", 0, "roots"), ("a0000401b2c3d4", 77, "nameless")):  # fmt: skip
        put(root, f"var/spool/cron/atjobs/{name}", f"#!/bin/sh\n# atrun uid={uid} gid=0\n{mark}{command}\n", 0o700)
    put(root, "var/spool/cron/atjobs/.SEQ", "3")
    facts = look_cron(str(root))
    assert [(entry.kind, entry.command, entry.user, entry.name) for entry in facts.entries] == [
        (CronKind.AT, "running", "bob", "1"),
        (CronKind.AT, "roots", "root", "3"),
        (CronKind.AT, "nameless", "77", "4"),
    ]


def test_crontabs_elsewhere_are_tried_both_ways(root: Path) -> None:
    put(root, "opt/jobs/system", "* * * * * bob a b\n* * * * * typo c\n* * * * * root d\n")
    put(root, "opt/jobs/supercronic", "*/5 * * * * python3 /app/x.py\n@hourly y")
    put(root, "opt/jobs/bob", "* * * * * mine\n")
    put(root, "opt/jobs/old~", "* * * * * old\n")
    facts = look_cron(str(root), ["/opt/jobs"])
    assert [(entry.file, entry.kind, entry.user, entry.command) for entry in facts.entries] == [
        ("/opt/jobs/bob", CronKind.USER, "bob", "mine"),
        ("/opt/jobs/supercronic", CronKind.USER, None, "python3 /app/x.py"),
        ("/opt/jobs/supercronic", CronKind.USER, None, "y"),
        ("/opt/jobs/system", CronKind.SYSTEM, "bob", "a b"),
        ("/opt/jobs/system", CronKind.SYSTEM, "root", "d"),
    ]
    assert [gap.what for gap in facts.gaps] == ["/opt/jobs/system:2"]
    one = look_cron(str(root), ["/opt/jobs/supercronic", "/nowhere", "/opt/jobs/a\0b"])
    assert len(one.entries) == 2
    assert [(gap.what, gap.why) for gap in one.gaps] == [
        ("the crontab /nowhere", "no such file or directory"),
        ("the crontab /opt/jobs/a\0b", "invalid argument"),
    ]


def test_without_users_only_root_makes_a_system_crontab(tmp_path: Path) -> None:
    put(tmp_path, "c/all-root", "* * * * * root a\n")
    put(tmp_path, "c/mixed", "* * * * * root a\n* * * * * python3 b\n")
    kinds = {entry.file: entry.kind for entry in look_cron(str(tmp_path), ["/c"]).entries}
    assert kinds == {"/c/all-root": CronKind.SYSTEM, "/c/mixed": CronKind.USER}


def test_a_place_that_is_read_anyway_is_not_read_twice(root: Path) -> None:
    put(root, "etc/crontab", "* * * * * root a\n")
    put(root, "var/spool/cron/crontabs/bob", "* * * * * b\n")
    source = CronSource(str(root), ["/etc/crontab", "/var/spool/cron/crontabs", "/var/spool/cron/crontabs/bob"])
    assert commands(source.look()) == commands(source.look()) == ["a", "b"]


def test_malformed_lines_are_told_and_the_others_read(root: Path) -> None:
    debian(root)
    put(root, "etc/cron.d/app", f"* * * * * root good\n61 * * * * root PGPASSWORD={S}\n* * * * * nobody-knows x\n")
    facts = look_cron(str(root))
    assert commands(facts) == ["good"]
    assert [(gap.source, gap.what) for gap in facts.gaps] == [
        ("cron", "/etc/cron.d/app:2"),
        ("cron", "/etc/cron.d/app:3"),
    ]
    assert facts.gaps[0].opens == "correct the line: until then Debian's cron runs no line of this file"
    assert S not in repr(facts)


def test_what_is_no_file_is_not_waited_for(root: Path) -> None:
    (root / "etc/cron.d").mkdir(parents=True)
    os.mkfifo(root / "etc/cron.d/fifo")
    os.mkfifo(root / "etc/crontab")
    (root / "etc/cron.d/loop").symlink_to("loop")
    (root / "etc/cron.d/dangling").symlink_to("/nowhere")
    put(root, "etc/cron.d/good", "* * * * * root a\n")
    facts = look_cron(str(root))
    assert commands(facts) == ["a"]
    assert ("the crontab /etc/crontab", "not a regular file") in [(gap.what, gap.why) for gap in facts.gaps]


def test_a_file_without_an_end_is_read_to_a_limit(root: Path) -> None:
    put(root, "etc/cron.d/huge", b"* * * * * root a\n" * 70_000)
    facts = look_cron(str(root))
    assert len(facts.entries) == rooted.LIMIT // 17
    assert ("the end of /etc/cron.d/huge", "over 1 MiB") in [(gap.what, gap.why) for gap in facts.gaps]


def test_a_name_that_is_no_utf_8(root: Path) -> None:
    put(root, "usr/sbin/crond", "")
    directory = os.fsencode(root / "var/spool/cron")
    os.makedirs(directory)
    with open(directory + b"/caf\xe9", "wb") as file:
        file.write(b"* * * * * a\n")
    (entry,) = look_cron(str(root)).entries
    assert (entry.file, entry.user) == ("/var/spool/cron/caf\\xe9", "caf\\xe9")
    repr(entry).encode()


def test_links_stay_below_the_root(root: Path) -> None:
    put(root, "srv/jobs", "* * * * * root inside\n")
    (root / "etc/cron.d").mkdir(parents=True)
    (root / "etc/cron.d/absolute").symlink_to("/srv/jobs")
    (root / "etc/cron.d/upwards").symlink_to("../../../../../../../../etc/shadow")
    assert commands(look_cron(str(root))) == ["inside"]


def test_a_second_look_reads_nothing_that_has_not_changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian(root)
    app = put(root, "etc/cron.d/app", "* * * * * root a\n")
    put(root, "etc/cron.d/other", "* * * * * root o\n")
    put(root, "etc/cron.daily/x", "", 0o755)
    source = CronSource(str(root))
    first = source.look()
    reads: list[str] = []
    real_read, real_list = rooted.read_file, rooted.list_directory

    def read_file(root: str, path: str) -> bytes:
        reads.append(path)
        return real_read(root, path)

    def list_directory(root: str, path: str) -> list[str]:
        reads.append(path)
        return real_list(root, path)

    monkeypatch.setattr(rooted, "read_file", read_file)
    monkeypatch.setattr(rooted, "list_directory", list_directory)
    assert source.look() == first
    assert reads == []
    put(root, "etc/cron.d/app", "* * * * * root changed\n")
    assert "changed" in commands(source.look())
    assert reads == ["/etc/cron.d/app"]
    app.unlink()
    assert commands(source.look()) == ["o", "/etc/cron.daily/x"]
    put(root, "etc/cron.d/new", "* * * * * root n\n")
    assert commands(source.look()) == ["n", "o", "/etc/cron.daily/x"]
    assert source.look() == source.look()


def test_a_script_that_becomes_executable_is_seen(root: Path) -> None:
    script = put(root, "etc/cron.daily/x", "")
    source = CronSource(str(root))
    assert source.look().entries == ()
    script.chmod(0o755)
    assert commands(source.look()) == ["/etc/cron.daily/x"]


AS_NOBODY = """
    import os, sys
    from pgusher.collect.cron import look_cron
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
    facts = look_cron(sys.argv[1])
    print([entry.command for entry in facts.entries])
    for gap in facts.gaps:
        print(gap.what, '|', gap.why, '|', gap.opens, '|', gap.count)
"""


@needs_root
def test_what_nobody_may_not_read_is_a_gap(root: Path) -> None:
    put(root, "etc/crontab", "* * * * * root a\n")
    put(root, "etc/cron.d/secret", "* * * * * root b\n", 0o600)
    put(root, "etc/cron.d/secret2", "* * * * * root c\n", 0o600)
    put(root, "var/spool/cron/crontabs/bob", "* * * * * d\n", 0o600)
    (root / "var/spool/cron/crontabs").chmod(0o1730)
    (root / "etc/anacrontab").write_text("1 1 x y\n")
    (root / "etc/anacrontab").chmod(0o600)
    for parent in root.parents:
        if parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(parent.stat().st_mode | 0o005)
    root.chmod(0o755)
    words = [sys.executable, "-c", textwrap.dedent(AS_NOBODY), str(root)]
    environment = {**os.environ, "PYTHONPATH": SRC}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    remedy = "permission denied | run pgusher as root"
    assert done.stdout.splitlines() == [
        "['a']",
        f"the jobs in /var/spool/cron/crontabs | {remedy} | 1",
        f"2 files in /etc/cron.d | {remedy} | 2",
        f"the crontab /etc/anacrontab | {remedy} | 1",
    ]


def test_the_host_itself_is_read_in_no_time_the_second_time() -> None:
    source = CronSource()
    facts = source.look()
    assert all(entry.file.startswith("/") for entry in facts.entries)
    began = time.process_time()
    assert source.look() == facts
    assert time.process_time() - began < 1.0


def test_users_are_those_of_the_root(root: Path) -> None:
    put(root, "etc/crontab", "* * * * * bob a\n* * * * * alice b\n")
    facts = look_cron(str(root), users=Users(str(root)))
    assert commands(facts) == ["a"]
