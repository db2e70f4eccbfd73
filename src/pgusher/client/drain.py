"""`pgusher free --drain`: give back what is idle in the pools of this process, as it was asked to from outside.

Who asks writes a number into the ledger (`pgusher.model.loans`), which the kernel lets only our own user and root do.
There is no signal handler, no socket and no thread that waits: the pools are looked after a few times a second anyway,
and that look reads the number, which is one load from memory. Then a thread of its own does the work, so that neither
the main thread nor a loan that hangs is in its way. Loans stay with who has them.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # who has a ledger has loaded them; a pool without one needs neither
    from pgusher.model.loans import Answer

_seen = [0]  # in a list, as it is changed


def look() -> None:
    """Whether there is a question; if so, it is answered soon. Called by whoever looks after a pool; never blocks."""
    from pgusher.client.ledger import made_ledger

    found = made_ledger()
    serial = 0 if found is None else found.asked()
    if serial and serial != _seen[0]:
        _seen[0] = serial
        with suppress(RuntimeError):  # the interpreter exits, or no thread can be made: who asked is told nothing
            threading.Thread(target=_serve, args=(serial,), name="pgusher-drain", daemon=True).start()


def drain_all() -> Answer:
    """Give back all that is idle in the pools of this process's databases, except for their `min_size`."""
    from pgusher.client import registry
    from pgusher.model.loans import Answer

    given = lent = kept = silent = 0
    for entry in registry.everything():
        for pool in entry.pools():
            done = pool.hand_back()
            if done is None:
                silent += 1
                continue
            given, lent, kept = given + done[0], lent + done[1], kept + done[2]
    return Answer(given, lent, kept, silent)


def _serve(serial: int) -> None:
    from pgusher.client.ledger import made_ledger

    pid = os.getpid()
    answer = drain_all()
    found = made_ledger()
    if found is not None and os.getpid() == pid:
        found.answer(serial, answer)
