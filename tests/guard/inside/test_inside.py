"""A dead thread is a failed run, in programs that know nothing of it: each is run, on every Python there is."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from pgusher.guard.inside import START, VARIABLE, environment
from pgusher.guard.inside.report import Report, read
from tests.guard.inside.scripts import FINE, SCRIPTS, Script, source

GRACE = 0.4
OTHERS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
ON_OTHERS = (
    "a queue whose worker died",
    "the main thread died, an executor's worker waits",
    "a thread that dies when the main one has ended",
    "a thread died, and the run ended well",
)


def interpreters() -> dict[str, str]:
    """Pythons of this machine besides the one that runs the tests, by version."""
    found = {}
    for version in ("2.7", "3.6", "3.7", *OTHERS):
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            continue
        roots = [os.environ.get("PYENV_ROOT", ""), os.path.expanduser("~/.pyenv"), "/root/.pyenv"]
        there = [path for root in roots if root for path in glob.glob(f"{root}/versions/{version}.*/bin/python")]
        there += filter(None, [shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin")])
        if there and os.access(there[0], os.X_OK):
            found[version] = there[0]
    return found


class Run:
    """One program under the watch, with a report of its own."""

    def __init__(self, place: Path, script: Script, python: str = sys.executable, **more: str) -> None:
        place.mkdir(parents=True)
        self.script = script
        self.report_file = place / "report"
        self.report_file.touch()
        self.file = place / "job.py"
        self.file.write_text(source(script))
        environ = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **more}
        environ.update(environment(environ, str(self.report_file), GRACE))
        self.process = subprocess.Popen(
            [python, str(self.file)],
            env=environ,
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out = self.err = ""

    def end(self) -> Run:
        try:
            self.out, self.err = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        return self

    @property
    def report(self) -> Report:
        return read(str(self.report_file))

    @property
    def died(self) -> tuple[str, ...]:
        return tuple(f"{death.thread} of {death.error}" for death in self.report.deaths)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """All of them, at once."""
    place = tmp_path_factory.mktemp("runs")
    started = {name: Run(place / str(n), script) for n, (name, script) in enumerate({**SCRIPTS, **FINE}.items())}
    try:
        yield {name: run.end() for name, run in started.items()}
    finally:
        for run in started.values():
            run.process.kill()


def check(run: Run) -> None:
    assert (run.process.returncode, run.died) == (run.script.code, run.script.died), run.err
    assert run.out == run.script.out or "pool closed" not in run.script.out, run.err
    assert run.report.failed
    death = run.report.deaths[0]
    if death.thread != "spawned":
        raising = run.file.read_text().splitlines()[death.line - 1]
        assert (death.file, raising.strip(), death.text) == (str(run.file), 'raise ValueError("bad row")', "bad row")
        assert 'raise ValueError("bad row")' in death.traceback
    main = [one for one in run.report.waiting if one.main]
    # Where no thread can be started any more, it is the main one itself that waits for the others.
    assert bool(main) == bool(run.script.waits) or run.script.waits == "-"
    if run.script.waits.strip("-"):
        assert run.script.waits in run.file.read_text().splitlines()[main[0].line - 1]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_dead_thread_fails_and_ends_the_run(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    check(run)
    assert run.out == run.script.out
    if "tells nobody" not in name and "full" not in name and "spawned" not in name:
        assert run.err.count("ValueError: bad row") == 1, run.err


@pytest.mark.parametrize("name", FINE)
def test_what_is_no_dead_thread_is_left_alone(runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    assert run.report == Report(watched=1), run.err
    assert (run.process.returncode, run.out) == (run.script.code, run.script.out + "exit function\n"), run.err
    assert run.err == ""


def test_on_every_other_python(tmp_path: Path) -> None:
    found = {version: python for version, python in interpreters().items() if version in OTHERS}
    if not found:
        pytest.skip("there is no other Python here")
    started = [
        Run(tmp_path / version / str(n), SCRIPTS[name], python)
        for version, python in found.items()
        for n, name in enumerate(ON_OTHERS)
    ]
    for run in started:
        run.end()
        check(run)
        assert run.err.count("ValueError: bad row") == 1, (run.process.args, run.err)


def test_older_pythons_run_as_without_it(tmp_path: Path) -> None:
    found = {version: python for version, python in interpreters().items() if version not in OTHERS}
    if not found:
        pytest.skip("there is no Python before 3.8 here")
    script = Script("import sys, threading\nt = threading.Thread(target=die)\nt.start()\nt.join()\nsys.exit(3)", 3)
    for version, python in found.items():
        place = tmp_path / version
        place.mkdir()
        (place / "job.py").write_text("def die(): raise ValueError('bad row')\n" + script.text)
        environ = environment({}, str(place / "report"), GRACE)
        done = subprocess.run([python, "job.py"], cwd=place, env=environ, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (3, ""), done.stderr
        assert done.stderr.count("ValueError: bad row") == 1
        assert "sitecustomize" not in done.stderr


# -- what it steps aside for


@pytest.fixture(scope="module")
def environment_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The python of a venv, and the directory of its packages."""
    place = tmp_path_factory.mktemp("venv")
    venv.create(place, symlinks=True)
    python = str(place / "bin/python")
    (packages,) = place.glob("lib/python*/site-packages")
    return python, packages


def _say(python: str, what: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-c", what], env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "theirs",
    ["import sys; sys.theirs = __file__", "import no_such_module", "raise RuntimeError('broken')", "1 +", None],
)
def test_the_next_sitecustomize_runs_as_without_it(
    environment_of_its_own: tuple[str, Path], tmp_path: Path, theirs: str | None
) -> None:
    python, packages = environment_of_its_own
    file = packages / "sitecustomize.py"
    file.unlink(missing_ok=True)
    if theirs is not None:
        file.write_text(theirs + "\n")
    what = "import sys; m = sys.modules.get('sitecustomize'); print(getattr(sys, 'theirs', None))"
    plain = _say(python, what, PYTHONDONTWRITEBYTECODE="1")
    report = tmp_path / "report"
    report.touch()
    watched = _say(python, what, PYTHONDONTWRITEBYTECODE="1", **environment({}, str(report)))
    assert (watched.returncode, watched.stdout) == (plain.returncode, plain.stdout)
    assert re.sub(r".*pgusher/.*\n.*\n", "", watched.stderr) == plain.stderr
    assert read(str(report)).watched == 1


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_what_cannot_be_watched_never_opens_the_report(tmp_path: Path, flag: str) -> None:
    report = tmp_path / "report"
    report.touch()
    environ = environment({}, str(report))
    done = subprocess.run([sys.executable, flag, "-c", "print(1)"], env=environ, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1\n", b"")
    assert read(str(report)) == Report()


@pytest.mark.parametrize("told", ["5:/no/such/report", "x", "", "x:y", "5:/dev/full"])
def test_a_report_that_cannot_be_written_holds_nothing_up(told: str) -> None:
    environ = {**environment({}, "/x"), VARIABLE: told}
    done = subprocess.run([sys.executable, "-c", "print(1)"], env=environ, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"1\n", b"")


def test_an_interactive_interpreter_goes_on(tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.touch()
    typed = "import threading\nt = threading.Thread(target=int, args='x')\nt.start(); t.join()\nprint('still here')\n"
    environ: Mapping[str, str] = environment({}, str(report), 0.0)
    done = subprocess.run(
        [sys.executable, "-i", "-q"], input=typed, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "still here\n"), done.stderr
    assert read(str(report)).deaths == ()


def test_the_paths_that_were_set_stay_behind_it() -> None:
    paths = environment({"PYTHONPATH": f"/a{os.pathsep}/b"}, "/r", 2.5)
    assert paths == {"PYTHONPATH": os.pathsep.join([START, "/a", "/b"]), VARIABLE: "2.5:/r"}
    assert environment(paths, "/r")["PYTHONPATH"] == paths["PYTHONPATH"]
    assert environment({"PYTHONPATH": ""}, "/r")["PYTHONPATH"] == START


def test_no_module_of_weight_comes_with_it(tmp_path: Path) -> None:
    report = tmp_path / "report"
    report.touch()
    what = "import sys; print(*sys.modules)"
    plain, watched = (
        set(_say(sys.executable, what, **environ).stdout.split()) for environ in ({}, environment({}, str(report)))
    )
    assert {name.partition(".")[0] for name in watched - plain} <= {
        "pgusher_watch", "sitecustomize", "threading", "_weakrefset", "functools", "_functools", "collections",
        "_collections", "keyword", "reprlib", "operator", "_operator", "types", "itertools", "atexit", "__future__",
    }  # fmt: skip
