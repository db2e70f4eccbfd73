"""The guard against real jobs: exit codes, limit, overlap, output, and nothing left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgusher.guard import kernel
from pgusher.guard.history import History
from pgusher.guard.kernel import read_stat
from tests.guard.shapes import PYTHON, SHAPES, Bench, until


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("state"))
    yield bench
    bench.close()


def test_the_exit_code_is_the_jobs(bench: Bench, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    wanted = {
        "c0": (["true"], 0), "c3": (["sh", "-c", "exit 3"], 3), "c9": (["sh", "-c", "kill -9 $$"], 137),
        "c127": (["/no/such"], 127), "c126": ([str(plain)], 126),
    }  # fmt: skip
    guards = {name: bench.start(name, argv) for name, (argv, _) in wanted.items()}
    assert {name: guard.wait(30) for name, guard in guards.items()} == {
        name: code for name, (_, code) in wanted.items()
    }
    endings = {name: entry.ending for name, entry in History(f"{bench.state}/history").last().items()}
    assert endings["c0"] == "done"
    assert (endings["c3"], endings["c127"]) == ("failed", "not started")


def test_output_passes_unchanged_and_only_what_is_wrong_is_added(bench: Bench) -> None:
    code, out, err = bench.run("out", ["sh", "-c", "echo a; echo b >&2; printf c"])
    assert (code, out, err) == (0, "a\nc", "b\n")


def test_closed_descriptors_are_never_ours(bench: Bench) -> None:
    """Bytes 1, 2, 3 and 15 are what the guard's own pipe would take for signals."""
    text = f"exec {sys.executable} -m pgusher run --name closed -- sh -c 'printf \"\\001\\002\\003\\017\"; exit 4'"
    for closed, said in ((">&-", b""), ("<&- >&- 2>&-", b""), ("<&-", b"\1\2\3\17")):
        done = subprocess.run(["sh", "-c", f"{text} {closed}"], env=bench.environ, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (4, said, b"")


def test_what_cron_and_terminals_send_ends_it(bench: Bench) -> None:
    guard = bench.start("quit", ["sleep", "300"], "--grace", "1s")
    until(lambda: bench.of("quit"))
    guard.send_signal(signal.SIGQUIT)
    assert guard.wait(20) == 131
    assert bench.of("quit") == []


def test_of_many_starts_at_once_one_runs(bench: Bench) -> None:
    guards = [bench.start("pile", ["sleep", "30"], stderr=subprocess.DEVNULL) for _ in range(12)]
    until(lambda: sum(guard.poll() is not None for guard in guards) == 11, 60)
    (last,) = [guard for guard in guards if guard.poll() is None]
    assert {guard.returncode for guard in guards} == {75, None}
    until(lambda: bench.of("pile"))  # the others may be gone before its job is there
    assert len(bench.of("pile")) == 1
    last.terminate()
    assert last.wait(20) == 143


def test_words_of_the_job_are_no_options_of_ours(bench: Bench) -> None:
    words = [sys.executable, "-m", "pgusher", "run", "--name", "words", "echo", "--name", "-n", "--", "--timeout=1s"]
    done = subprocess.run(words, env=bench.environ, capture_output=True, check=True)
    assert done.stdout == b"--name -n -- --timeout=1s\n"


def test_much_output_is_never_held_whole(bench: Bench) -> None:
    guard = bench.start("much", ["head", "-c", "64000000", "/dev/zero"], stderr=subprocess.DEVNULL)
    assert guard.stdout is not None
    until(lambda: bench.of("much"))
    read_first = guard.stdout.read(1)
    stat = read_stat(guard.pid)
    assert stat is not None
    assert stat.rss * os.sysconf("SC_PAGE_SIZE") < 60e6, "while nobody reads on"
    assert len(read_first) + len(guard.stdout.read()) == 64_000_000
    assert guard.wait(30) == 0


def test_at_the_limit_the_evidence_names_the_line_and_nothing_is_left(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "report.py"
    script.write_text("import queue\nq = queue.Queue()\nq.put(1)\nq.join()  # nobody takes\n")
    code, _, err = bench.run("report", [sys.executable, str(script)], "--timeout", "2s", "--grace", "5s")
    assert code == 124
    assert "job report did not end within 2s and was ended" in err
    assert f"MainThread waits in Queue.join at {script}:4 (q.join()" in err
    assert bench.of("report") == []


def test_a_run_that_is_there_is_named_and_no_second_begins(bench: Bench) -> None:
    first = bench.start("alone", ["sleep", "300"])
    until(lambda: bench.of("alone"))
    code, _, err = bench.run("alone", ["true"])
    assert code == 75
    assert f"job alone runs already: for 0 s, guard pid {first.pid}" in err.replace("for 1 s", "for 0 s")
    assert "sleep 300" in err
    code, _, err = bench.run("alone", ["true"], "--overlap", "replace")
    assert (code, first.wait(10)) == (0, 143)
    assert "was ended to make room" in err
    assert bench.of("alone") == []


def test_another_command_of_the_same_name_is_told_and_not_ended_by_a_name_that_nobody_gave(
    bench: Bench, tmp_path: Path
) -> None:
    script = tmp_path / "etl.py"
    script.write_text(
        "import subprocess, sys, time\n"
        "if sys.argv[1:]:\n    subprocess.Popen(['sleep', '300'], start_new_session=True)\n    time.sleep(300)\n"
    )
    words = [sys.executable, str(script)]
    first = bench.start("", [*words, "300", "orders"])
    until(lambda: len(bench.of("etl")) == 2)
    code, _, err = bench.run("", words)
    assert code == 75
    assert f"that run is of another command: {sys.executable} {script} 300 orders; if it is another job" in err
    code, _, err = bench.run("", words, "--overlap", "replace")
    assert (code, first.poll()) == (75, None)
    assert "give each a --name of its own" in err
    # The same for what its guard has left: the child that has a session of its own.
    first.kill()
    first.wait()
    until(lambda: len(bench.of("etl")) == 1)
    code, _, err = bench.run("", words, "--overlap", "replace")
    assert (code, len(bench.of("etl"))) == (75, 1)
    assert "that run is of another command" in err
    # Who gives the name means all that bears it.
    code, _, err = bench.run("etl", words, "--overlap", "replace")
    assert (code, bench.of("etl")) == (0, [])


def test_the_same_command_replaces_itself_without_a_name(bench: Bench, tmp_path: Path) -> None:
    script = tmp_path / "etl.py"
    script.write_text("import time\ntime.sleep(300)\n")
    words = [sys.executable, str(script)]
    first = bench.start("", words)
    until(lambda: bench.of("etl"))
    second = bench.start("", words, "--overlap", "replace")
    assert first.wait(20) == 143
    until(lambda: bench.of("etl"))
    second.terminate()
    assert second.wait(20) == 143


def test_a_hung_guard_is_replaced_too(bench: Bench) -> None:
    first = bench.start("hung", ["sleep", "300"], "--grace", "0.1s")
    until(lambda: bench.of("hung"))
    first.send_signal(signal.SIGSTOP)  # it answers nothing any more
    code, _, err = bench.run("hung", ["true"], "--overlap", "replace", "--grace", "0.1s")
    assert (code, first.wait(10)) == (0, -signal.SIGKILL)
    assert f"of pid {first.pid} was ended to make room" in err
    assert bench.of("hung") == []


def test_one_waits_and_the_next_does_not(bench: Bench) -> None:
    first = bench.start("queue", ["sleep", "300"])
    until(lambda: bench.of("queue"))
    second = bench.start("queue", ["true"], "--overlap", "wait")
    until(lambda: os.path.exists(bench.lock("queue").replace(".lock", ".wait")))
    code, _, err = bench.run("queue", ["true"], "--overlap", "wait")
    assert code == 75
    assert "another run of job queue waits already" in err
    first.terminate()
    assert second.wait(20) == 0


def test_a_lock_whose_file_was_removed_lets_nobody_in(bench: Bench) -> None:
    bench.start("removed", ["sleep", "300"])
    until(lambda: bench.of("removed"))
    os.unlink(bench.lock("removed"))
    assert bench.run("removed", ["true"])[0] == 75


def test_a_dead_thread_is_a_failed_run(bench: Bench) -> None:
    text = "import threading\nt = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()"
    code, _, err = bench.run("thread", [sys.executable, "-c", text])
    assert code == 1
    assert "a thread of it died" in err
    assert "ZeroDivisionError" in err


def test_who_does_nothing_is_told_and_ended_if_wanted(bench: Bench) -> None:
    code, _, err = bench.run("idle", ["sleep", "300"], "--idle-timeout", "1s", "--idle-kill")
    assert code == 124
    assert "job idle did nothing for 1s and was ended" in err


@pytest.mark.parametrize("options", [[], ["--isolate"]], ids=["", "isolated"])
def test_signals_that_mean_something_to_the_job_alone_reach_it(bench: Bench, options: list[str]) -> None:
    if options and bench.run("may", ["true"], *options)[0]:
        pytest.skip("users may not make namespaces here")
    text = "trap 'echo one' USR1; trap 'echo two; exit 7' USR2; echo ready; while :; do sleep 0.05; done"
    guard = bench.start("passed", ["sh", "-c", text], *options, stdout=subprocess.PIPE)
    assert guard.stdout is not None
    assert guard.stdout.readline() == b"ready\n"
    guard.send_signal(signal.SIGWINCH)  # what nobody asked for changes nothing
    guard.send_signal(signal.SIGUSR1)
    assert guard.stdout.readline() == b"one\n"
    guard.send_signal(signal.SIGUSR2)
    assert (guard.stdout.read(), guard.wait(30)) == (b"two\n", 7)


@pytest.mark.parametrize("kind", ["shell", "Python"])
def test_nothing_survives_any_shape_and_any_ending(bench: Bench, kind: str) -> None:
    """All cells at once: limit, TERM, INT, HUP; a job that is done or has failed while its children run on.

    Python's other endings are those of test_run_sessions.py, where its jobs hold sessions as well.
    """
    scripts = SHAPES if kind == "shell" else PYTHON
    first = ["sh", "-c"] if kind == "shell" else [sys.executable, "-c"]
    signals = {"TERM": signal.SIGTERM, "INT": signal.SIGINT, "HUP": signal.SIGHUP}
    cells: dict[str, subprocess.Popen[bytes]] = {}
    for shape, script in scripts.items():
        for ending in (*signals, "limit", "done", "failed") if kind == "shell" else ("TERM", "limit"):
            text, options = script, ["--grace", "1s"]
            if ending == "limit":
                options += ["--timeout", "2s"]
            if ending in ("done", "failed"):
                # The main process ends, all that it has started runs on.
                code = 0 if ending == "done" else 5
                inner = script if kind == "shell" else f'exec {sys.executable} -c "$SCRIPT"'
                text = f"( {inner}\n ) & sleep 0.5; exit {code}"
            bench.environ["SCRIPT"] = script
            argv = ["sh", "-c", text] if ending in ("done", "failed") else [*first, text]
            name = f"{kind}-{shape.replace(' ', '-')}-{ending}"
            cells[name] = bench.start(name, argv, *options, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    waited = {name: ending for name in cells if (ending := name.rpartition("-")[2]) in signals}
    until(lambda: waited.keys() <= bench.all().keys(), 60)
    time.sleep(0.5)  # the handlers and children of the jobs are there
    for name, ending in waited.items():
        cells[name].send_signal(signals[ending])
    codes = {name: guard.wait(60) for name, guard in cells.items()}
    wanted = {"limit": 124, "done": 0, "failed": 5, "TERM": 143, "INT": 130, "HUP": 129}
    assert codes == {name: wanted[name.rpartition("-")[2]] for name in cells}
    assert cells.keys() & bench.all().keys() == set()


def test_hundreds_that_fork_on_are_stopped_first_and_ended(bench: Bench) -> None:
    text = "trap '' TERM; for n in $(seq 130); do (while :; do sleep 0.3; done) & done; wait"
    code, _, _ = bench.run("swarm", ["sh", "-c", text], "--timeout", "3s", "--grace", "1s")
    assert code == 124
    assert bench.of("swarm") == []


def test_isolated_nothing_survives_even_a_killed_guard(bench: Bench) -> None:
    code, _, err = bench.run("iso", ["true"], "--isolate")
    if code and os.geteuid():
        assert (code, "cannot isolate the job" in err) == (125, True)
        pytest.skip(f"users may not make namespaces here: {err.strip()}")
    assert code == 0
    for shape, script in SHAPES.items():
        bench.start(f"iso-{shape.replace(' ', '-')}", ["sh", "-c", script], "--isolate")
    names = [f"iso-{shape.replace(' ', '-')}" for shape in SHAPES]
    for name, guard in zip(names, bench.guards[-len(names) :], strict=True):
        until(lambda name=name: len(bench.of(name)) > 0)
        guard.kill()
    until(lambda: not bench.all().keys() & set(names), 5)


@pytest.mark.parametrize("overlap", ["skip", "wait", "replace"])
def test_a_run_within_a_run_of_itself_neither_waits_for_that_nor_ends_it(bench: Bench, overlap: str) -> None:
    inner = [sys.executable, "-m", "pgusher", "run", "--name", "self", "--overlap", overlap, "--", "true"]
    code, _, err = bench.run("self", inner, "--timeout", "20s")
    assert (code, "within a run of itself" in err) == (75, True), err


def test_the_evidence_of_an_isolated_job_is_about_the_job_alone(bench: Bench) -> None:
    if bench.run("may", ["true"], "--isolate")[0]:
        pytest.skip("users may not make namespaces here")
    code, _, err = bench.run("inner", ["sh", "-c", "sleep 300; :"], "--isolate", "--timeout", "1s", "--grace", "0.5s")
    assert (code, "sleep 300" in err, "_outlive" in err) == (124, True, False), err


STEPS = [
    "opened",
    "locked",
    "recorded",
    "begun",
    "subreaper",
    "noted",
    "started",
    "terminated",
    "killed",
    "ended",
    "kept",
]
KILLED = """
import os, signal, sys
from pgusher.guard.records import Job
from pgusher.guard.run import run
def step(name):
    if name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
job = Job(sys.argv[1], ("sh", "-c", sys.argv[3]), limit=0.3, grace=0.2)
run(job, step=step)
print("not killed")
"""


def test_each_step_of_the_guard_is_a_point_at_which_it_is_killed() -> None:
    text = "".join(path.read_text() for path in Path(kernel.__file__).parent.glob("*.py"))
    assert set(re.findall(r'step\("([a-z]+)"\)', text)) == set(STEPS)


CLOCK = """
import sys, time
real, calls = time.time_ns, []
def jumps():
    calls.append(0)
    return real() + int(sys.argv[1]) * 86_400_000_000_000 * len(calls)
time.time_ns = jumps
time.time = lambda: jumps() / 1e9
from pgusher.guard.records import Job
from pgusher.guard.run import run
ended = run(Job("clock" + sys.argv[1].strip("-"), ("sleep", "300"), limit=0.5, grace=0.5))
print(ended.ending, ended.exit, ended.duration < 60_000_000)
"""


def test_a_clock_that_is_set_changes_no_limit(bench: Bench) -> None:
    for days in ("1", "-2"):  # on each look at it
        done = subprocess.run([sys.executable, "-c", CLOCK, days], env=bench.environ, capture_output=True, check=True)
        assert done.stdout == b"limit 124 True\n"


def test_killed_at_any_step_no_lock_is_lost_no_run_is_doubled_and_all_is_found(bench: Bench) -> None:
    shape = SHAPES["daemon"]
    guards = {
        name: subprocess.Popen([sys.executable, "-c", KILLED, f"at-{name}", name, shape], env=bench.environ)
        for name in STEPS
    }
    assert {name: guard.wait(60) for name, guard in guards.items()} == dict.fromkeys(STEPS, -9)
    assert {"at-started", "at-terminated"} & bench.all().keys(), "a guard that was killed has left something"
    jobs = [f"at-{name}" for name in STEPS]
    # What had been told to end may be ending: what counts is what is there when the next run looks.
    next_runs = {job: bench.start(job, ["true"]) for job in jobs}
    for guard in next_runs.values():
        _, err = guard.communicate(timeout=60)
        assert guard.returncode in (0, 75)
        assert (guard.returncode == 75) == (b"whose guard is gone" in err)
    beside = bench.all().keys() & {job for job, guard in next_runs.items() if guard.returncode == 0}
    assert beside == set(), "nothing runs beside a new run"
    replacing = [bench.start(job, ["true"], "--overlap", "replace", "--grace", "1s") for job in jobs]
    assert [guard.wait(60) for guard in replacing] == [0] * len(jobs)
    assert bench.all().keys() & set(jobs) == set()
