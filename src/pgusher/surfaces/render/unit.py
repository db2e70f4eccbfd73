"""A unit of systemd for `pgusher serve`, as closed as what it does allows."""

from __future__ import annotations

from collections.abc import Iterable

_UNIT = """\
# Written by pgusher serve --install-systemd. To install it:
#   systemctl daemon-reload && systemctl enable --now pgusher-serve
# The address with its token is in the journal: journalctl -u pgusher-serve
[Unit]
Description=pgusher: who holds the slots of PostgreSQL
Documentation=man:pgusher(1)
After=network.target postgresql.service

[Service]
ExecStart={command}
Restart=on-failure
RestartSec=5
StateDirectory=pgusher
Environment=PGUSHER_STATE=/var/lib/pgusher
UMask=0077

# It reads the processes and sockets of all users: that needs these capabilities, and no more than these.
CapabilityBoundingSet={capabilities}
AmbientCapabilities={capabilities}
NoNewPrivileges=yes
{acts}ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=no
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service @debug setns
MemoryMax=256M
TasksMax=64

[Install]
WantedBy=multi-user.target
"""
_READS = "CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_SYS_ADMIN CAP_SETUID CAP_SETGID"
_ACTS = " CAP_KILL"


def unit_text(command: str, allow_actions: bool, writes: Iterable[str] = ()) -> str:
    """The unit that runs this command. With acts allowed it may send signals, too; `writes`: where it makes files."""
    capabilities = _READS + (_ACTS if allow_actions else "")
    # Source: systemd.service(5), "Command lines", and systemd.syntax(7): both are read before the quotes are.
    line = command.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    places = (place.replace("\\", "\\\\").replace("%", "%%").replace('"', '\\"') for place in writes)
    paths = [*(["/var/log"] if allow_actions else []), *(f'"-{place}"' for place in places)]
    acts = f"ReadWritePaths={' '.join(paths)}\n" if paths else ""
    return _UNIT.format(command=line, capabilities=capabilities, acts=acts)
