"""Every session leads to the holder that a person can name: the cron job, the web service, the script."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pgusher.demo.server import EmbeddedServer
from pgusher.model.evidence import Certainty
from pgusher.model.holder import Holder, HolderKind, LinkKind
from pgusher.model.snapshot import Snapshot
from tests.bed import Bed, Truth, needs_root
from tests.bed.cron import holder_command, why_no_cron, why_no_hurry
from tests.bed.holder import ROOT
from tests.live.looking import chain_of, look, wrong_links

real_cron = pytest.mark.skipif(bool(why_no_cron()), reason=why_no_cron() or "there is one")


def holder_of(snapshot: Snapshot, truth: Truth) -> Holder:
    """The one holder of all these sessions, and of no others."""
    assert wrong_links(snapshot, truth) == []
    (name,) = {chain_of(snapshot, session.backend_pid).holder for session in truth.sessions}
    found = snapshot.holder(name)
    assert found is not None
    assert set(found.sessions) == {session.backend_pid for session in truth.sessions}
    assert set(found.processes) == {pid for session in truth.sessions for pid in session.pids}
    return found


@real_cron
class TestCron:
    def test_a_job_is_named_by_its_line(self, bed: Bed, server: EmbeddedServer) -> None:
        job = holder_command(bed.dsn(), "--sessions", "3")
        with bed.cron([f"@reboot root {job}"], sessions=3) as cron:
            found = holder_of(look(server), cron.truth)
        assert (found.kind, found.name, found.certainty) == (HolderKind.CRON, "cron/sessions", Certainty.PROVEN)
        assert "/etc/crontab:" in found.title

    @pytest.mark.skipif(bool(why_no_hurry()), reason=why_no_hurry() or "there is one")
    def test_overlapping_runs_are_one_holder(self, bed: Bed, server: EmbeddedServer) -> None:
        job = holder_command(bed.dsn(), "--sessions", "2", "--at-most", "3")
        with bed.cron([f"* * * * * root {job}"], hurry=True, processes=3, sessions=6) as cron:
            found = holder_of(look(server), cron.truth)
        assert (found.kind, found.runs, len(found.processes)) == (HolderKind.CRON, 3, 3)

    def test_a_shell_that_is_gone_leaves_a_likely_job(self, bed: Bed, server: EmbeddedServer) -> None:
        job = holder_command(bed.dsn(), "--sessions", "2")
        with bed.cron(["SHELL=/bin/bash", f"@reboot root {job}"], sessions=2) as cron:
            found = holder_of(look(server), cron.truth)
        assert (found.kind, found.certainty) == (HolderKind.CRON, Certainty.LIKELY)

    @pytest.mark.parametrize("form", ["({} &)", "setsid {} &"])
    def test_a_child_that_left_is_never_called_proven(self, bed: Bed, server: EmbeddedServer, form: str) -> None:
        job = form.format(holder_command(bed.dsn(), "--sessions", "2"))
        with bed.cron([f"@reboot root {job}"], sessions=2) as cron:
            found = holder_of(look(server), cron.truth)
        assert found.kind is not HolderKind.CRON or found.certainty is not Certainty.PROVEN

    def test_two_lines_of_one_command_are_both_named(self, bed: Bed, server: EmbeddedServer) -> None:
        job = holder_command(bed.dsn())
        with bed.cron([f"@reboot root {job}", f"@reboot root {job}"], processes=2, sessions=2) as cron:
            found = holder_of(look(server), cron.truth)
        assert found.title.count("/etc/crontab:") == 2


class TestFalseCron:
    """What merely calls itself cron, with the very command of a job below it."""

    @staticmethod
    def below(bed: Bed, server: EmbeddedServer, runner: str, how: str) -> Snapshot:
        holder = bed.holder("idle", sessions=2)
        command = " ".join(map(shlex.quote, holder.argv))
        # The shells wait for what they start: with one command alone they would make way for it.
        inner = f"/bin/sh -c {shlex.quote(f'{command}; true')}; true"
        holder.argv = ["/bin/bash", "-c", f"{how} {shlex.quote(runner)} -c {shlex.quote(inner)}"]
        with holder as started:
            snapshot = look(server)
            assert len(started.truth.sessions) == 2
            backends = {session.backend_pid for session in started.truth.sessions}
        chains = tuple(chain for chain in snapshot.chains if chain.pid in backends)
        names = {chain.holder for chain in chains}
        return replace(snapshot, chains=chains, holders=tuple(one for one in snapshot.holders if one.name in names))

    def test_a_title(self, bed: Bed, server: EmbeddedServer) -> None:
        snapshot = self.below(bed, server, "/bin/bash", "exec -a CRON")
        (holder,) = snapshot.holders
        assert holder.kind is HolderKind.SCRIPT
        for chain in snapshot.chains:
            assert any("is no cron daemon: it calls itself CRON, and runs /" in one for one in chain.conflicts)

    def test_a_copy_of_a_shell(self, bed: Bed, server: EmbeddedServer, tmp_path: Path) -> None:
        copy = tmp_path / "cron"
        shutil.copy(os.path.realpath("/bin/sh"), copy)
        snapshot = self.below(bed, server, str(copy), "exec")
        (holder,) = snapshot.holders
        assert holder.certainty is not Certainty.PROVEN
        assert not any(
            link.certainty is Certainty.PROVEN
            for c in snapshot.chains
            for link in c.links
            if link.kind is LinkKind.CRON
        )


@pytest.mark.parametrize("program", ["gunicorn:sync", "uvicorn"])
def test_the_workers_of_a_web_service_are_one_holder(bed: Bed, server: EmbeddedServer, program: str) -> None:
    with bed.web(program, workers=2, sessions=2) as web:
        found = holder_of(look(server), web.truth)
    assert found.kind is HolderKind.SERVICE
    assert found.name.startswith(f"{program.partition(':')[0]}/")
    assert len(found.processes) == 2
    assert found.limit


def test_two_instances_of_a_script_are_one_holder(bed: Bed, server: EmbeddedServer) -> None:
    with bed.holder(sessions=1) as one, bed.holder(sessions=2) as other:
        snapshot = look(server)
        names = {chain_of(snapshot, s.backend_pid).holder for t in (one.truth, other.truth) for s in t.sessions}
        assert names == {"script/sessions.py"}
        found = snapshot.holder("script/sessions.py")
        assert found is not None
        assert len(found.processes) == found.runs == 2


@needs_root
def test_what_an_ordinary_user_may_not_see_is_hidden_and_said_so(bed: Bed, server: EmbeddedServer) -> None:
    program = (
        "import importlib, json, os, pkgutil, sys, types\n"
        "from tests.live.looking import look\n"
        "import pgusher.app, pgusher.attribute, pgusher.collect\n"
        "for package in (pgusher.app, pgusher.attribute, pgusher.collect):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "server = types.SimpleNamespace(dsn=lambda *words: sys.argv[1])\n"
        "look(server)  # and all else that is loaded late: the other user may not be able to read it\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "seen = look(server)\n"
        "print(json.dumps([[chain.pid, chain.end, chain.holder] for chain in seen.chains]))\n"
        "print(json.dumps([gap.what for gap in seen.facts.gaps]))\n"
    )
    with bed.holder(sessions=2) as holder:
        ran = subprocess.run(
            [sys.executable, "-c", program, bed.dsn("monitor", "postgres")],
            capture_output=True, check=True, cwd=ROOT, text=True, env={"PYTHONPATH": f"{ROOT}:{ROOT}/src"},
        )  # fmt: skip
        chains, gaps = map(json.loads, ran.stdout.splitlines())
        backends = {session.backend_pid for session in holder.truth.sessions}
        seen = {(end, name) for pid, end, name in chains if pid in backends}
        assert seen == {("hidden", "hidden/root")}
        assert gaps
