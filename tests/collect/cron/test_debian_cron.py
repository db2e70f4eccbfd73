"""Our reading of crontabs held to Debian's cron itself: what it accepts, what it runs, and with which words."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgusher.collect.cron import look_cron
from pgusher.collect.cron.crontab import parse
from pgusher.collect.cron.dialect import VIXIE
from pgusher.model.jobs import CronKind
from pgusher.model.text import decode
from tests.bed.requirements import needs_root

CRON = shutil.which("cron", path="/usr/sbin:/usr/bin")
CRONTAB = shutil.which("crontab")


def _is_debians() -> bool:
    return bool(CRON and CRONTAB) and os.path.exists("/usr/share/doc/cron/copyright")


needs_cron = pytest.mark.skipif(not _is_debians(), reason="Debian's cron is not installed")
pytestmark = [needs_cron, needs_root]


def cron_accepts(raw: bytes, place: Path) -> bool:
    """What `crontab -n` says: it reads a file with the daemon's own functions, and installs nothing."""
    assert CRONTAB is not None
    place.write_bytes(raw)
    done = subprocess.run([CRONTAB, "-n", str(place)], capture_output=True, check=False)
    assert done.returncode in (0, 1), done
    return done.returncode == 0


def we_accept(raw: bytes) -> bool:
    """The same by our parser. Cron takes a line without a command and runs it; for us it names nothing."""
    gaps = parse(raw, CronKind.USER, "f", dialect=VIXIE).gaps
    return all(gap.why == "no command" for gap in gaps)


@pytest.mark.parametrize(
    "raw",
    [
        b"* * * * * x\n",
        b"* * * * * x",
        b"# only a comment",
        b"MAILTO=\n",
        b'MAILTO=""\n',
        b"A='x' y\n",
        b"=x\n",
        b"'A=b'=c\n",
        b"'A' = \"b c\" \n",
        b"5/10 * * * * x\n",
        b"5;x * * * * x\n",
        b"*x * * * * x\n",
        b"-* * * * * x\n",
        b"1~5 * * * * x\n",
        b"5-1 * * * * x\n",
        b"1,,2 * * * * x\n",
        b"*/0 * * * * x\n",
        b"* * * jan-mar,DEC sun-7 x\n",
        b"* * * * * * x\n",
        b"* * * * x\n",
        b"@Daily x\n",
        b"@midnight x\n",
        b"* * * * * x\r\n\r\n",
        b"* * * * * x\r\n",
        b"* * * * * a\0* * * * * b\n",
        b"* * * * * a\0b\n",
        b"\0\n",
        b"* *\0 * * * a\n",
        b"* * * * * " + b"x" * 998 + b"\n",
        b"* * * * * " + b"x" * 999 + b"\n",
        b"\t * * * * * x\n \n",
        b"0" * 998 + b" * * * * x\n",
        b"0" * 1000 + b" * * * * x\n",
    ],
)
def test_one_mind_on_one_line(raw: bytes, tmp_path: Path) -> None:
    assert we_accept(raw) == cron_accepts(raw, tmp_path / "crontab")


FIELD = st.sampled_from(
    [b"*", b"*", b"*", b"*/5", b"1-5", b"1,2", b"*/0", b"5/10", b"60", b"0", b"31", b"jan", b"mon-fri", b"8", b"1-"]
)
PIECE = st.sampled_from([b" ", b"=", b"'", b'"', b"A", b"@daily", b"#", b"x", b"\\", b"\r", b"\v", b"* * * * * "])
LINE = st.one_of(
    st.tuples(st.lists(FIELD, min_size=4, max_size=6), st.sampled_from([b"x", b"*", b"a%b", b"\\%"])).map(
        lambda parts: b" ".join([*parts[0], parts[1]])
    ),
    st.lists(PIECE, max_size=8).map(b"".join),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINE, min_size=1, max_size=2))
def test_one_mind_on_any_line(tmp_path: Path, lines: list[bytes]) -> None:
    raw = b"\n".join(lines) + b"\n"
    assert we_accept(raw) == cron_accepts(raw, tmp_path / "crontab")


# Each job writes down the words that it was started with. OUT is an environment line of the crontab.
TELL = "tr '\\0' '\\n' < /proc/$$/cmdline > $OUT/"

# Nobody gets mail from a test.
HEAD = 'MAILTO=""\nOUT=@OUT@'
FILES = {
    "etc/crontab": (
        f"{HEAD}\n@reboot root {TELL}plain\n"
        f"@reboot root   {TELL}blanks   \n"
        f"@reboot root : a\\%b c\\\\d \\e; {TELL}percent %and this % is its input\n"
        f"@reboot root : caf\udce9; {TELL}latin # no comment\n"
    ),
    "etc/cron.d/good_Name-1": f"{HEAD}\nSHELL=/bin/bash\n@reboot root :; {TELL}cron-d\n",
    "etc/cron.d/dotted.name": f"{HEAD}\n@reboot root {TELL}dotted\n",
    "etc/cron.d/old.dpkg-dist": f"{HEAD}\n@reboot root {TELL}dpkg-dist\n",
    "etc/cron.d/backup~": f"{HEAD}\n@reboot root {TELL}backup\n",
    "etc/cron.d/nouser": f"{HEAD}\n@reboot {TELL}nouser\n",
    "etc/cron.d/broken": f"{HEAD}\n@reboot root {TELL}before-an-error\n61 * * * * root x\n",
    "etc/cron.d/nonewline": f"{HEAD}\n@reboot root {TELL}before\n@reboot root {TELL}nonewline",
    "etc/cron.d/windows": f"{HEAD}\r\n@reboot root {TELL}windows;\r\n",
    "var/spool/cron/crontabs/root": f"{HEAD}\n@reboot {TELL}user\n",
    "var/spool/cron/crontabs/no-such-user": f"{HEAD}\n@reboot {TELL}orphan\n",
}

# In a mount namespace: this cron reads no crontab of this host, and the host's cron, if it has one, none of these.
ENTER = """
for place in etc/crontab etc/cron.d var/spool/cron/crontabs run; do
    mount --bind "$1/$place" "/$place" || exit 77
done
exec "$2" -f
"""


def _lay_out(root: Path, out: Path) -> None:
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.replace("@OUT@", str(out)).encode("utf-8", "surrogateescape"))
        path.chmod(0o600)
    for directory in ("run", "usr/sbin"):
        (root / directory).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/debian_version").write_text("12.0\n")
    (root / "usr/sbin/cron").write_text("")


def _run(root: Path, out: Path) -> dict[str, list[str]]:
    """What a real cron ran: by the name that the job gave, the words of its shell."""
    assert CRON is not None
    daemon = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", ENTER, "sh", str(root), CRON],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
        deadline = time.monotonic() + 30
        # All jobs of @reboot are started in one go, so when none is left, none will come.
        while not ((out / "user").exists() and (out / "plain").exists() and not children.read_text().split()):
            if daemon.poll() == 77:
                pytest.skip("no mount namespace may be made here")
            assert daemon.poll() is None, daemon.stderr.read() if daemon.stderr else ""
            assert time.monotonic() < deadline, sorted(path.name for path in out.iterdir())
            time.sleep(0.02)
    finally:
        daemon.terminate()
        daemon.communicate()
    return {path.name: [decode(word) for word in path.read_bytes().split(b"\n")] for path in out.iterdir()}


def test_what_cron_runs_is_what_we_read(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    out.mkdir()
    _lay_out(root, out)
    ran = _run(root, out)
    facts = look_cron(str(root))
    told = {gap.what.rpartition(":")[0] for gap in facts.gaps}
    ours = {entry.command for entry in facts.entries if entry.file not in told and "orphan" not in entry.command}

    assert set(ran) == {"plain", "blanks", "percent", "latin", "cron-d", "windows", "user"}
    assert {words[2] for words in ran.values()} == ours
    assert {name: words[0] for name, words in ran.items() if words[0] != "/bin/sh"} == {"cron-d": "/bin/bash"}
    assert told == {"/etc/cron.d/nouser", "/etc/cron.d/broken", "/etc/cron.d/nonewline"}
