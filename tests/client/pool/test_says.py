"""A caller that waited in vain is told who has the sessions; a loan that is old is told, and its end too."""

from __future__ import annotations

import inspect
from typing import Any

import psycopg
import psycopg_pool
import pytest

from pgusher.client.failures import ConnectFailed
from pgusher.demo.server import EmbeddedServer
from tests.client.pool.flavours import Flavour, run
from tests.client.pool.proxy import Proxy

SERVER_SETTINGS = {"max_connections": 30}


def line() -> int:
    """The line of the caller."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_timeout_names_the_borrower_its_line_and_where_it_is_now(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, name="orders") as pool:
            at: dict[str, int] = {}
            release: list[bool] = []

            async def fetch_orders() -> None:
                at["borrowed"] = line() + 1
                async with pool.connection():
                    at["now"] = line() + 2
                    while not release:
                        await flavour.sleep(0.01)

            worker = flavour.spawn(fetch_orders, name="importer-3")
            await flavour.until(lambda: "now" in at)
            with pytest.raises(psycopg_pool.PoolTimeout) as caught:
                await pool.getconn(0.1)
            release.append(True)
            await flavour.gather(worker)
            text = str(caught.value)
            assert text.startswith("couldn't get a connection after 0.10 sec")
            assert "pool 'orders' has 1 of at most 1 sessions, 1 of them lent, and 0 more callers waiting" in text
            assert f"by {flavour.unit} importer-3" in text
            assert f"borrowed at {__file__}:{at['borrowed']} in " in text
            assert f"now at {__file__}:{at['now']} in " in text or f"now at {__file__}:{at['now'] - 1} in " in text
            assert "fetch_orders" in text

    run(flavour, body)


def test_a_timeout_names_no_more_than_the_three_oldest(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=5) as pool:
            held = [await pool.getconn() for _ in range(5)]
            with pytest.raises(psycopg_pool.PoolTimeout) as caught:
                await pool.getconn(0.05)
            assert str(caught.value).count("lent for") == 3
            assert "5 of them lent" in str(caught.value)
            for conn in held:
                await pool.putconn(conn)

    run(flavour, body)


def test_the_last_connect_error_is_in_the_text_and_is_the_cause(flavour: Flavour, proxy: Proxy, through: str) -> None:
    async def body() -> None:
        async with flavour.pool(through, min_size=0, max_size=1) as pool:
            with pytest.raises(psycopg_pool.PoolTimeout) as caught:
                await pool.getconn(0.2)
            assert not isinstance(caught.value, ConnectFailed)
            assert "Connection refused" in str(caught.value)
            assert isinstance(caught.value.__cause__, psycopg.OperationalError)
            assert str(caught.value.__cause__) in str(caught.value)

    run(flavour, body)


def test_an_old_loan_is_told_with_its_line_and_again_when_it_is_back(
    flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, long_loan=0.1) as pool:

            async def slow() -> int:
                at = line() + 1
                async with pool.connection():
                    await flavour.until(lambda: caplog.records)
                return at

            (at,) = await flavour.gather(flavour.spawn(slow, name="slow-one"))
            old, back = [record.message for record in caplog.records]
            assert f"a loan to {flavour.unit} slow-one is 0." in old
            assert f"borrowed at {__file__}:{at} in " in old
            assert f"now at {__file__}:" in old
            assert f"the loan to {flavour.unit} slow-one came back after 0." in back
            assert f"borrowed at {__file__}:{at} in " in back
            assert pool.get_stats()["loans_long"] == 1

    run(flavour, body)


def test_an_old_loan_is_told_once(flavour: Flavour, server: EmbeddedServer, caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1, long_loan=0.01) as pool:
            conn = await pool.getconn()
            await flavour.until(lambda: caplog.records)
            await flavour.sleep(1.2)  # two more looks
            assert len(caplog.records) == 1
            await pool.putconn(conn)
            assert len(caplog.records) == 2

    run(flavour, body)


def test_figures(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        async with flavour.pool(server.dsn(), min_size=1) as pool:
            await pool.wait()
            conn = await pool.getconn()
            with pytest.raises(psycopg_pool.PoolTimeout):
                await pool.getconn(0.05)
            await flavour.sleep(0.05)
            measured = pool.get_stats()
            assert measured["loans_out"] == 1
            assert measured["loans_oldest_ms"] >= 90
            assert measured["requests_timeouts"] == 1
            # One was served at once, the other waited for 50 ms.
            assert measured["waits"] == 2
            assert measured["waits_le_30ms"] == measured["waits_le_1ms"] == 1
            assert measured["waits_le_30000ms"] == 2
            assert all(isinstance(value, int) for value in measured.values())
            await pool.putconn(conn)
            pool.pop_stats()
            assert pool.get_stats()["waits"] == 0
            assert pool.get_stats()["loans_oldest_ms"] == 0

    run(flavour, body)


class Book:
    """A ledger that remembers: sessions and their loans, and apart from them how the pool stands."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self.pools: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        kept = self.pools if name.startswith("pool") else self.entries
        return lambda *args: kept.append((name, *args))


def test_the_ledger_is_told_of_each_loan(flavour: Flavour, server: EmbeddedServer) -> None:
    async def body() -> None:
        book = Book()
        async with flavour.pool(server.dsn(), min_size=1, ledger=book) as pool:
            await pool.wait()

            async def borrow() -> tuple[int, int]:
                at = line() + 1
                async with pool.connection() as conn:
                    return at, conn.pgconn.backend_pid

            ((at, backend),) = await flavour.gather(flavour.spawn(borrow, name="importer-3"))
        await flavour.until(lambda: len(book.entries) == 4)  # for the main thread the end is told by another
        opened, lent, returned, closed = book.entries
        assert opened[:3] == ("opened", opened[1], backend)
        slot = opened[1]
        assert lent[:2] == ("lent", slot)
        assert lent[4:] == ("importer-3" if flavour.unit == "task" else "", __file__, at)
        assert lent[2] > 0
        assert lent[3] > 0
        assert returned == ("returned", slot)
        assert closed == ("closed", slot)
        await flavour.until(lambda: book.pools[-1][0] == "pool_closed")
        told = [one for one in book.pools if one[0] == "pool"]
        assert {(one[1], one[2]) for one in told} == {(book.pools[-1][1], told[0][2])}
        low, high, *_ = told[0][3]
        assert (low, high) == (1, 1)
        assert max(one[3][2] for one in told) == max(one[3][3] for one in told) == 1

    run(flavour, body)
