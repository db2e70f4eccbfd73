"""Whose address it is: this namespace's, one beyond a bridge or veth of this host, or one elsewhere.

Formats: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h. Needs no privilege.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from enum import Enum

from pgusher.collect.sockets import netlink

_GET_LINK, _NEW_LINK = 18, 16
_GET_ADDRESS, _NEW_ADDRESS = 22, 20
_GET_ROUTE, _NEW_ROUTE = 26, 24
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_VIA = 1, 4, 5, 18
_RTN_LOCAL = 2
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFLA_MASTER, _IFLA_LINKINFO, _INFO_KIND = 10, 18, 1
_LOOPBACK_INDEX = 1
_LINK_LOCAL = ("fe8", "fe9", "fea", "feb")  # fe80::/10


class Place(Enum):
    """Where an address is, as seen from one namespace."""

    HERE = "here"
    """An address of this namespace itself."""
    NEAR = "near"
    """On the link of a veth, or of a bridge that has nothing but veths: in a namespace of this host."""
    AWAY = "away"
    """Anywhere else."""


class _Addresses(netlink.Answer):
    """Reads a dump of addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.link_local: set[str] = set()

    def take(self, kind: int, data: bytearray, start: int, end: int, sequence: int) -> None:
        """One address. Raises NetlinkError."""
        del sequence
        if kind != _NEW_ADDRESS or end - start < 16 + _ADDRESS.size:
            raise netlink.failure(errno.EBADMSG, f"address of {end - start} bytes")
        family, _, _, _, index = _ADDRESS.unpack_from(data, start + 16)
        own: dict[int, str] = {}
        for attribute, begin, stop in netlink.attributes(data, start + 16 + _ADDRESS.size, end):
            if attribute in (_IFA_ADDRESS, _IFA_LOCAL):
                text = _text(family, bytes(data[begin:stop]))
                if text is not None:
                    own[attribute] = text
        # Of a point-to-point link IFA_ADDRESS is the other side.
        text = own.get(_IFA_LOCAL) or own.get(_IFA_ADDRESS)
        if text is not None and text.startswith(_LINK_LOCAL):
            self.link_local.add(text)
        elif text is not None and index != _LOOPBACK_INDEX and not text.startswith("127."):
            self.found.add(text)


class _Route(netlink.Answer):
    """Reads the route to one address."""

    def __init__(self) -> None:
        super().__init__(1)
        self.local = False
        self.direct = True
        self.interface: int | None = None

    def take(self, kind: int, data: bytearray, start: int, end: int, sequence: int) -> None:
        """The route. Raises NetlinkError."""
        del sequence
        if kind != _NEW_ROUTE or end - start < 16 + _ROUTE.size:
            raise netlink.failure(errno.EBADMSG, f"route of {end - start} bytes")
        self.local = data[start + 16 + 7] == _RTN_LOCAL
        for attribute, begin, stop in netlink.attributes(data, start + 16 + _ROUTE.size, end):
            if attribute == _RTA_OIF and stop - begin == 4:
                self.interface = struct.unpack_from("=I", data, begin)[0]
            elif attribute in (_RTA_GATEWAY, _RTA_VIA):
                self.direct = False

    def refused(self, code: int, sequence: int) -> None:
        """There is no way to the address: it is not here. All else is raised as NetlinkError."""
        if code not in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL):
            super().refused(code, sequence)


class _Links(netlink.Answer):
    """Reads a dump of interfaces: kind and bridge of each."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: dict[int, str] = {}
        self.masters: dict[int, int] = {}

    def take(self, kind: int, data: bytearray, start: int, end: int, sequence: int) -> None:
        """One interface. Raises NetlinkError."""
        del sequence
        if kind != _NEW_LINK or end - start < 16 + _LINK.size:
            raise netlink.failure(errno.EBADMSG, f"interface of {end - start} bytes")
        index = _LINK.unpack_from(data, start + 16)[2]
        self.kinds[index] = ""
        for attribute, begin, stop in netlink.attributes(data, start + 16 + _LINK.size, end):
            if attribute == _IFLA_MASTER and stop - begin == 4:
                self.masters[index] = struct.unpack_from("=I", data, begin)[0]
            elif attribute == _IFLA_LINKINFO:
                for inner, first, last in netlink.attributes(data, begin, stop):
                    if inner == _INFO_KIND:
                        self.kinds[index] = bytes(data[first:last]).rstrip(b"\0").decode("ascii", "replace")

    def leads_to_namespaces(self, index: int | None) -> bool:
        """Whether what is on this link can only be a namespace of this host."""
        if index is None:
            return False
        if self.kinds.get(index) == "bridge":
            # A network card in the bridge, or a tunnel, leads to other hosts; a tap to a virtual machine.
            return all(self.kinds.get(port) == "veth" for port, master in self.masters.items() if master == index)
        return self.kinds.get(index) == "veth"


def _text(family: int, raw: bytes) -> str | None:
    if (family, len(raw)) in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
        return socket.inet_ntop(family, raw)
    return None


def _addresses(kernel: netlink.Netlink) -> _Addresses:
    answer = _Addresses()
    body = _ADDRESS.pack(0, 0, 0, 0, 0)
    kernel.ask(netlink.request(_GET_ADDRESS, body, flags=netlink.REQUEST | netlink.DUMP), answer)
    return answer


def addresses(kernel: netlink.Netlink) -> set[str]:
    """The addresses by which others know the namespace. Raises NetlinkError.

    Without loopback and link-local ones: they are the same in every namespace and say nothing of where a client is.
    """
    return _addresses(kernel).found


def places(kernel: netlink.Netlink, hosts: Iterable[str]) -> dict[str, Place]:
    """Where each of these numeric addresses is. Raises NetlinkError."""
    found: dict[str, Place] = {}
    links: _Links | None = None
    for host in hosts:
        if host.startswith(_LINK_LOCAL):  # there is no route to one without its interface
            found[host] = Place.HERE if host in _addresses(kernel).link_local else Place.AWAY
            continue
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        raw = socket.inet_pton(family, host)
        route = _Route()
        body = _ROUTE.pack(family, len(raw) * 8, 0, 0, 0, 0, 0, 0, 0) + netlink.attribute(_RTA_DST, raw)
        kernel.ask(netlink.request(_GET_ROUTE, body), route)
        if route.local:
            found[host] = Place.HERE
            continue
        if links is None:
            links = _Links()
            body = _LINK.pack(0, 0, 0, 0, 0)
            kernel.ask(netlink.request(_GET_LINK, body, flags=netlink.REQUEST | netlink.DUMP), links)
        near = route.direct and links.leads_to_namespaces(route.interface)
        found[host] = Place.NEAR if near else Place.AWAY
    return found
