"""anacron's table, the spool of at, the names that count, and which daemon a host has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgusher.collect.cron.anacron import parse_anacron
from pgusher.collect.cron.at import is_job_name, is_running, parse_at
from pgusher.collect.cron.dialect import (
    BUSYBOX,
    CRONIE,
    UNKNOWN,
    VIXIE,
    classical_name,
    detect,
    lsb_name,
    red_hat_name,
)
from pgusher.model.jobs import CronEntry, CronKind

S = "s3cr3tW0rd"


def test_anacrontab() -> None:
    raw = b"""# /etc/anacrontab
SHELL=/bin/bash
LOGNAME = root

1\t5\tcron.daily\trun-parts --report /etc/cron.daily
@monthly 15  report   /srv/report.sh \\
    --all \\a
"""
    found = parse_anacron(raw)
    assert found.gaps == ()
    assert found.entries == (
        CronEntry(
            CronKind.ANACRON,
            "/etc/anacrontab",
            5,
            "1 5",
            "run-parts --report /etc/cron.daily",
            "root",
            name="cron.daily",
        ),
        CronEntry(
            CronKind.ANACRON, "/etc/anacrontab", 6, "@monthly 15", "/srv/report.sh      --all a", "root", name="report"
        ),
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"1 5 name", "invalid syntax: anacron skips this line"),
        (b"x 5 name cmd", "invalid syntax: anacron skips this line"),
        (b"1 5 a/b cmd", "invalid syntax: anacron skips this line"),
        (b"@hourly 5 name cmd", "unknown named period"),
    ],
)
def test_a_malformed_line_of_anacron_is_told(line: bytes, why: str) -> None:
    found = parse_anacron(b"\n" + line + b"\n1 1 x y\n", "/f")
    assert [(gap.what, gap.why) for gap in found.gaps] == [("/f:2", why)]
    assert [entry.name for entry in found.entries] == (["name", "x"] if line.startswith(b"@") else ["x"])


def test_a_whole_table_of_garbage_is_told_in_a_few_gaps() -> None:
    gaps = parse_anacron(b"garbage\n" * 1000).gaps
    assert len(gaps) == 21
    assert gaps[-1].count == 980


AT = f"""#!/bin/sh
# atrun uid=1000 gid=1000
# mail bob 0
umask 22
PGPASSWORD={S}; export PGPASSWORD
NOTE=a"
"b; export NOTE
cd /home/bob || {{
\t echo 'Execution directory inaccessible' >&2
\t exit 1
}}
"""


@pytest.mark.parametrize(
    "command",
    [
        "python3 /srv/backfill.py --year 2024\n",
        "${SHELL:-/bin/sh} << 'mark6'\npython3 /srv/backfill.py --year 2024\n\nmark6\n",
    ],
)
def test_an_at_job(command: str) -> None:
    found = parse_at((AT + command + "\n").encode(), "/spool/=0001101b2c3d4", "=0001101b2c3d4")
    assert found is not None
    uid, entry = found
    assert uid == 1000
    assert entry == CronEntry(
        CronKind.AT, "/spool/=0001101b2c3d4", 0, "", "python3 /srv/backfill.py --year 2024", name="17"
    )
    assert S not in repr(found)


def test_an_at_job_without_its_mark_shows_nothing() -> None:
    found = parse_at(f"# atrun uid=5 gid=5\nTOKEN={S}; export TOKEN\necho {S}\n".encode(), "f", "a0000101b2c3d4")
    assert found is not None
    assert (found[0], found[1].command) == (5, "")


def test_names_of_at_jobs() -> None:
    assert is_job_name("a0001101b2c3d4")
    assert is_job_name("=0001101b2c3d4")
    assert is_running("=0001101b2c3d4")
    assert not is_running("a0001101b2c3d4")
    assert not any(map(is_job_name, [".SEQ", ".lockfile", "a0001101b2c3d", "a0001101b2c3d44", "a0001101B2C3D4", ""]))


@settings(max_examples=1000, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([b"1 5 n c", b"\\", b"\n", b"@daily 1 n c", b"="])).map(b"".join),
    )
)
def test_no_bytes_raise(raw: bytes) -> None:
    for entry in parse_anacron(raw).entries:
        repr(entry).encode()
    for job in (raw, AT.encode() + raw):
        found = parse_at(job, "f", "a0000101b2c3d4")
        assert found is not None
        repr(found).encode()


NAMES = ("good", "Good_name-1", "0", "x.sh", "old.dpkg-dist", "a.b-c", "a-b.dpkg-old", "backup~", ".hidden", "_x",
         "#a#", "x,v", "app.rpmsave", "app.rpmnew", "UPPER", "é", "a b", "org.foo-bar", "a..b-c", "-x")  # fmt: skip


@pytest.mark.skipif(shutil.which("run-parts") is None, reason="run-parts is not installed")
def test_names_count_as_for_run_parts_itself(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)

    def run(*options: str) -> set[str]:
        words = ["run-parts", *options, "--test", str(tmp_path)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return {line.rpartition("/")[2] for line in done.stdout.splitlines()}

    assert {name for name in NAMES if classical_name(name)} == run()
    assert {name for name in NAMES if lsb_name(name)} == run("--lsbsysinit")


def test_names_that_cronie_passes_over() -> None:
    assert [name for name in NAMES if not red_hat_name(name)] == [
        "backup~",
        ".hidden",
        "#a#",
        "x,v",
        "app.rpmsave",
        "app.rpmnew",
    ]


def _host(root: Path, *files: str) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def test_which_daemon(tmp_path: Path) -> None:
    assert detect(str(tmp_path)) is UNKNOWN
    assert detect(str(_host(tmp_path / "debian", "usr/sbin/cron", "etc/debian_version"))) == VIXIE
    assert detect(str(_host(tmp_path / "suse", "usr/sbin/cron"))) is CRONIE
    assert detect(str(_host(tmp_path / "fedora", "usr/sbin/crond"))) is CRONIE
    own = _host(tmp_path / "cronie", "usr/sbin/cron", "etc/debian_version", "usr/share/doc/cronie/copyright")
    assert detect(str(own)) is CRONIE
    alpine = _host(tmp_path / "alpine", "bin/busybox", "usr/sbin/x")
    (alpine / "usr/sbin/crond").symlink_to("/bin/busybox")
    assert detect(str(alpine)) is BUSYBOX


@pytest.mark.parametrize(
    ("line", "lsb"),
    [
        ('EXTRA_OPTS="-l"', True),
        ("EXTRA_OPTS='-L 5 -l'", True),
        ("EXTRA_OPTS=-nl", True),
        ('#EXTRA_OPTS="-l"', False),
        ('EXTRA_OPTS="-L 15"', False),
        ('EXTRA_OPTS=""', False),
    ],
)
def test_cron_with_option_l(tmp_path: Path, line: str, *, lsb: bool) -> None:
    root = _host(tmp_path, "usr/sbin/cron", "etc/debian_version", "etc/default/cron")
    (root / "etc/default/cron").write_text(f"READ_ENV=yes\n{line}\n")
    assert detect(str(root)).name_counts("org.foo-bar") is lsb
