"""A network namespace of one's own, joined to the host by a pair of virtual devices: a client from another address.

Nothing of it has a name outside: it goes with its last process, whatever ends the tests.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from types import TracebackType
from typing import Self

from pgusher.demo.keep import Keeper


class Network:
    """The namespace, from `with` on. Root only. The server must be started after it, listening on `host_address`."""

    def __init__(self) -> None:
        self.keeper = Keeper(directory_in="/dev/shm", prefix="pgusher-net-", sweep=True)
        self.pid = 0
        """A process inside it that does nothing."""
        self.host_address = ""
        """Our end."""
        self.address = ""
        """Its end: where its clients come from."""
        self.device = ""

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self.keeper.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.keeper.close()
        # The kernel would remove it with the namespace, a moment later and together with the other end.
        subprocess.run(["ip", "link", "delete", self.device], capture_output=True, check=False)

    def inside(self, argv: list[str]) -> list[str]:
        """The command line that runs this one inside."""
        return ["/usr/bin/nsenter", "-t", str(self.pid), "-n", "--", *argv]

    @property
    def inode(self) -> int:
        """Which namespace it is."""
        return os.stat(f"/proc/{self.pid}/ns/net").st_ino

    def _make(self) -> None:
        log = os.path.join(self.keeper.directory, "log")
        env = {"PATH": os.defpath + ":/usr/sbin:/sbin"}
        self.pid = self.keeper.start(["/usr/bin/unshare", "-n", "sleep", "infinity"], log=log, env=env)
        deadline = time.monotonic() + 30
        while self.inode == os.stat("/proc/self/ns/net").st_ino:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        base = self._free_net()
        self.host_address, self.address = f"{base}.1", f"{base}.2"
        self.device = f"pgu{self.keeper.cookie[:8]}"
        run("ip", "link", "add", self.device, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
        run("ip", "addr", "add", f"{self.host_address}/24", "dev", self.device)
        run("ip", "link", "set", self.device, "up")
        inside = ("nsenter", "-t", str(self.pid), "-n", "ip")
        run(*inside, "addr", "add", f"{self.address}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "link", "set", "lo", "up")

    def _free_net(self) -> str:
        """One of 198.18.0.0/15, which is set aside for tests of networks (RFC 2544) and routed nowhere."""
        taken = {
            entry["local"].rpartition(".")[0]
            for device in json.loads(run("ip", "-json", "-4", "addr"))
            for entry in device["addr_info"]
        }
        free = [f"198.{second}.{third}" for second in (18, 19) for third in range(256)]
        return random.choice([net for net in free if net not in taken])


def run(*argv: str) -> str:
    """What the command printed. Raises AssertionError with its complaint when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout
