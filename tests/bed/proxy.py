"""A TCP proxy before a server, that does to connections what networks do: cuts them, slows them, falls silent.

    with Proxy(("127.0.0.1", server.port), delay=0.15) as proxy:
        psycopg.connect(server.dsn(host=proxy.host, port=proxy.port))

It runs in a thread of this process, on an event loop of its own. What it does to new connections are attributes that
may be set at any time; what it does to those that exist are methods. Its own kernel end acknowledges whatever is sent
to it, so a silent proxy is a peer that hangs, not a cable that is cut: TCP's own timeouts do not see it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeVar

T = TypeVar("T")
_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, no time: close() sends RST


class _Link:
    """One client and its connection to the server."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.ends = [client]
        self.awake = asyncio.Event()
        self.awake.set()


class Proxy:
    """Forwards to `target`. Times are in seconds; `delay`: between a client's connect and ours to the server."""

    def __init__(self, target: tuple[str, int], *, delay: float = 0.0) -> None:
        self.target = target
        self.delay = delay
        self.slow = 0.0
        """Seconds that each chunk takes, in either direction."""
        self.refuse = False
        """Whether new connections are reset instead of forwarded."""
        self.silent = False
        """Whether new connections are accepted and never answered."""
        self.accepted = 0
        """Connections that clients made."""
        self.host = "127.0.0.1"
        self.port = 0
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        listener = socket.create_server((self.host, 0), backlog=1024)
        self.port = listener.getsockname()[1]
        self._thread.start()
        self._call(lambda: self._listen(listener))
        return self

    def __exit__(self, *unused: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    @property
    def connections(self) -> int:
        """Those that are open now."""
        return len(self._links)

    def cut(self) -> int:
        """Close all connections, as a server that ends does (FIN). How many."""
        return self._end(reset=False)

    def reset(self) -> int:
        """Reset all connections, as a firewall does (RST). How many."""
        return self._end(reset=True)

    def half_open(self) -> int:
        """Fall silent on all connections: they stay open, nothing passes any more. How many."""

        def freeze() -> int:
            for link in self._links:
                link.awake.clear()
            return len(self._links)

        return self._call(freeze)

    def wake(self) -> int:
        """Let what was silent pass again. How many connections."""

        def thaw() -> int:
            for link in self._links:
                link.awake.set()
            return len(self._links)

        return self._call(thaw)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _call(self, action: Callable[[], T]) -> T:
        """Do it in the thread of the loop."""

        async def do() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(30)

    def _listen(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._task(self._accept(listener))

    def _task(self, what: object) -> None:
        task = self._loop.create_task(what)  # type: ignore[arg-type,var-annotated]  # a coroutine
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            sock, _ = await self._loop.sock_accept(listener)
            self.accepted += 1
            if self.refuse:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                sock.close()
                continue
            self._task(self._serve(sock))

    async def _serve(self, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        link = _Link(writer)
        self._links.add(link)
        try:
            if self.silent:
                link.awake.clear()
            if self.delay:
                await asyncio.sleep(self.delay)
            await link.awake.wait()
            server_reader, server_writer = await asyncio.open_connection(*self.target)
            link.ends.append(server_writer)
            pumps = [
                asyncio.ensure_future(self._pump(link, reader, server_writer)),
                asyncio.ensure_future(self._pump(link, server_reader, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the server is down: the client sees its connection closed
        finally:
            self._links.discard(link)
            for end in link.ends:
                end.close()

    async def _pump(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.slow:
                    await asyncio.sleep(self.slow)
                await link.awake.wait()
                writer.write(data)
                await writer.drain()

    def _end(self, *, reset: bool) -> int:
        def end() -> int:
            links = list(self._links)
            for link in links:
                for writer in link.ends:
                    if reset:
                        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    writer.transport.abort()
            return len(links)

        return self._call(end)

    async def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in list(self._links):
            for end in link.ends:
                end.transport.abort()
        self._listener.close()
