"""The same socket at another moment, at half the cost of making it anew."""

from __future__ import annotations

from pgusher.model.sockets import ClientSocket

# The slots' own descriptors. What is frozen is __setattr__; it is not asked here, as the copy is nobody's yet.
_new = object.__new__
_slots = ClientSocket.__dict__
_transport, _sight = _slots["transport"].__set__, _slots["sight"].__set__
_host, _port, _backend = _slots["host"].__set__, _slots["port"].__set__, _slots["backend_pid"].__set__
_inode, _cookie, _uid = _slots["inode"].__set__, _slots["cookie"].__set__, _slots["uid"].__set__
_cgroup, _netns, _state = _slots["cgroup_id"].__set__, _slots["netns"].__set__, _slots["tcp_state"].__set__
_idle, _holders, _by = _slots["idle_ms"].__set__, _slots["holders"].__set__, _slots["connected_by"].__set__


def aged(socket: ClientSocket, idle_ms: int | None) -> ClientSocket:
    """A copy with another idle time: 1.1 microseconds, where `dataclasses.replace` takes 4.8.

    A tick of `--watch` with nothing new does this for every session, and little else.
    """
    copy: ClientSocket = _new(ClientSocket)
    _transport(copy, socket.transport)
    _sight(copy, socket.sight)
    _host(copy, socket.host)
    _port(copy, socket.port)
    _backend(copy, socket.backend_pid)
    _inode(copy, socket.inode)
    _cookie(copy, socket.cookie)
    _uid(copy, socket.uid)
    _cgroup(copy, socket.cgroup_id)
    _netns(copy, socket.netns)
    _state(copy, socket.tcp_state)
    _idle(copy, idle_ms)
    _holders(copy, socket.holders)
    _by(copy, socket.connected_by)
    return copy
