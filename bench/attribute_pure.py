"""What attribution alone costs: facts in, snapshot out, nothing read.

    python bench/attribute_pure.py

Each size is attributed cold (the pure function), warm with the same processes and sockets seen anew (as one look
after another), and with churn: a twentieth of the processes and of the sessions is new.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pgusher.attribute import Attributor, attribute
from pgusher.model.facts import Facts
from pgusher.model.snapshot import Snapshot
from tests.attribute.builders import World

SIZES = ((50, 100), (500, 1_000), (2_000, 10_000))
ROUNDS = 9


def staged(processes: int, sessions: int) -> Facts:
    """A host with cron runs, gunicorn trees in units, scripts and terminals in equal shares."""
    world = World()
    for number in range(20):
        world.line(f"cd /srv && python job_{number}.py --all", line=number + 1)
    masters = [
        world.process(
            "/usr/bin/python3",
            "/venv/bin/gunicorn",
            "-w",
            "8",
            f"app{n}.wsgi:app",
            uid=33,
            cgroup=f"/system.slice/app{n}.service",
        )
        for n in range(max(1, processes // 100))
    ]
    made = []
    for number in range(processes):
        kind = number % 4
        if kind == 0:
            script = f"job_{number % 20}.py"
            made.append(world.cron_run(f"cd /srv && python {script} --all", "python", script, "--all"))
        elif kind == 1:
            master = masters[number % len(masters)]
            made.append(world.process(*master.argv, parent=master, uid=33))
        elif kind == 2:
            made.append(world.process("python3", f"/opt/scripts/report_{number % 50}.py", "--day", "7", uid=1000))
        else:
            made.append(
                world.process("/usr/local/bin/orders-go", "-config", "/etc/orders.yaml", exe="/usr/local/bin/orders-go")
            )
    for number in range(sessions):
        world.holds(made[number % len(made)], app="psql" if number % 50 == 0 else "web")
    return world.facts()


def again(facts: Facts) -> Facts:
    """The same look a second later: every session and socket is a new value with another state and idle time."""
    return replace(
        facts,
        taken_at=facts.taken_at + 1_000_000,
        sessions=tuple(replace(s, state="active", state_change=facts.taken_at) for s in facts.sessions),
        sockets=tuple(replace(s, active_at=(s.active_at or 0) + 1_000) for s in facts.sockets),
        processes=tuple(replace(p) for p in facts.processes),
    )


def churned(facts: Facts) -> Facts:
    """A look in which a twentieth of the processes has another identity, and so have its sessions."""
    new = {p.pid for p in facts.processes[::20] if p.pid > 1}
    return replace(
        again(facts),
        processes=tuple(
            replace(p, argv=(*p.argv, "--again"), start_ticks=p.start_ticks) if p.pid in new else p
            for p in facts.processes
        ),
        sessions=tuple(
            replace(s, backend_start=(s.backend_start or 0) + 1) if i % 20 == 0 else s
            for i, s in enumerate(facts.sessions)
        ),
    )


def measured(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median of some rounds, in milliseconds."""
    times = []
    for _ in range(rounds):
        began = perf_counter()
        act()
        times.append((perf_counter() - began) * 1000)
    return median(times)


def looks(facts: Facts, change: Callable[[Facts], Facts]) -> float:
    """The median of looks after a first one, each with facts of its own, in milliseconds."""
    attributor = Attributor()
    attributor.attribute(facts)
    times = []
    for number in range(ROUNDS):
        seen = change(facts) if number % 2 == 0 else again(facts)
        began = perf_counter()
        snapshot: Snapshot = attributor.attribute(seen)
        if number % 2 == 0:
            times.append((perf_counter() - began) * 1000)
        if len(snapshot.chains) != len(seen.sessions):
            raise SystemExit("a session has no chain: the figures would mean nothing")
    return median(times)


def main() -> None:
    print(f"{'processes':>9} {'sessions':>9} {'cold ms':>9} {'warm ms':>9} {'churn ms':>9}")
    for processes, sessions in SIZES:
        facts = staged(processes, sessions)
        cold = measured(lambda facts=facts: attribute(facts))  # type: ignore[misc]
        print(
            f"{processes:>9} {sessions:>9} {cold:>9.1f} {looks(facts, again):>9.1f} {looks(facts, churned):>9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
