"""The host on which pgusher looks."""

from __future__ import annotations

import os

from pgusher.collect import procfs
from pgusher.collect.addresses import own_addresses
from pgusher.collect.boot import boot_id, boot_time
from pgusher.collect.users import Users
from pgusher.model.process import Host
from pgusher.model.text import decode


def look_host(proc: str = "/proc", *, users: Users | None = None) -> Host:
    """This host as the running pgusher sees it: its own namespaces, its own uid. What cannot be read stays empty."""
    system = os.uname()
    uid = os.geteuid()
    try:
        netns = procfs.parse_namespace(os.readlink(os.fsencode(f"{proc}/self/ns/net")))
    except OSError:
        netns = None
    return Host(
        name=decode(os.fsencode(system.nodename)),
        boot_id=boot_id(proc),
        boot_time=boot_time(proc),
        kernel=decode(os.fsencode(system.release)),
        uid=uid,
        user=(users or Users()).name(uid),
        addresses=own_addresses(proc),
        netns=netns,
        pid=os.getpid(),
    )
