"""A run of the bed that waits to be killed. It prints the pids of all it has started, and their directories."""

from __future__ import annotations

import os
import signal
import sys

from pgusher.demo.server import EmbeddedServer
from tests.bed import Bed
from tests.bed.bed import HBA, prepare


def children(pid: int) -> list[int]:
    """All descendants."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        own = [int(word) for word in file.read().split()]
    return own + [further for child in own for further in children(child)]


server = EmbeddedServer(hba=HBA).start()
prepare(server)
bed = Bed(server)
holders = [
    bed.holder("idle", workers=2, share=0).start(),
    bed.holder("active", share=2).start(),
    bed.unfinished(3).start(),
]
child = os.fork()
if child == 0:  # a fork without exec, that has inherited all our pipes, and lives on
    os.close(1)
    signal.pause()
orphan = bed.run(["/bin/sh", "-c", "setsid sleep 600 & exec sleep 600"], processes=0).start()
pids = {*children(os.getpid()), *(pid for holder in holders for pid in holder.truth.pids)} - {child}
directories = [server.directory, *(holder.keeper.directory for holder in (*holders, orphan))]
sys.stdout.write(f"{' '.join(map(str, sorted(pids)))}\n{' '.join(directories)}\n{child}\n")
sys.stdout.flush()
signal.pause()
