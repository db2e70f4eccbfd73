"""A stand-in for Grafana. There is no Grafana here: this is a pool with its defaults, under a load like its own.

What it does like Grafana from 9.5 on: one pool for the data source, at most 100 connections, all 100 of them may stay
open when idle, for four hours; no application_name; all panels of a dashboard ask at once, again at each refresh, and
wait where the limit is reached; a panel that gets no connection shows the server's error and tries again at the next
refresh. Its API is the stand-in of `pgusher.demo.grafana_stand_in`: after an update of the data source there is a new
pool, and five seconds later the old one is closed.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

import psycopg
from truth import Truth

from pgusher.demo.grafana_stand_in import StandIn, serving

MAX_OPEN = 100  # as Grafana's "Max open", left at its default
LIFETIME = 4 * 3600.0  # seconds, as Grafana's "Max lifetime"
DISPOSED_AFTER = 5.0  # seconds for which a pool that was replaced lives on
DASHBOARDS = 5  # on screens in the office and on the wall
PANELS = 12  # on each of them
REFRESH = 5.0  # seconds

# As slow as a panel over a month of measurements, without the work.
PANEL = "select at as time, pieces as value from measurement, pg_sleep(0.3) where machine = {}"

truth = Truth("grafana_stand_in")
told: dict[str, Any] = {"refused": 0, "refusal": "", "errors": 0}


class Pool:
    """Connections as Go's database/sql keeps them: the idle one first, a new one up to the limit, then a wait."""

    def __init__(self, limit: int) -> None:
        self.open = 0
        self.idle: list[tuple[float, Any]] = []
        self.pids: set[int] = set()
        self.closed = False
        self._room = asyncio.Semaphore(limit)

    async def ask(self, query: str) -> None:
        """Run one panel's query. Raises psycopg.Error."""
        async with self._room:
            born, connection = self.idle.pop() if self.idle else (time.monotonic(), await self.connect())
            try:
                await (await connection.execute(query)).fetchall()
            except psycopg.Error:
                await self.drop(connection)
                raise
            if self.closed or time.monotonic() - born > LIFETIME:
                await self.drop(connection)
            else:
                self.idle.append((born, connection))

    async def connect(self) -> Any:
        """Open one more. Raises psycopg.Error."""
        self.open += 1
        try:
            connection = await psycopg.AsyncConnection.connect("dbname=mes", autocommit=True)
        except psycopg.Error as error:
            self.open -= 1
            told["refused"] += 1
            told["refusal"] = str(error)
            raise
        self.pids.add(connection.info.backend_pid)
        return connection

    async def drop(self, connection: Any) -> None:
        """Close one."""
        self.open -= 1
        self.pids.discard(connection.info.backend_pid)
        await connection.close()

    async def close(self) -> None:
        """Close what is idle now, and the rest as it comes back."""
        self.closed = True
        while self.idle:
            await self.drop(self.idle.pop()[1])


class Source:
    """The data source: what its API says of it, and its pools, the one in use last."""

    def __init__(self) -> None:
        self.stand_in = StandIn(disposed_after=DISPOSED_AFTER)
        self.row = self.stand_in.add(
            "MES",
            uid="mes",
            url=f"{os.environ.get('PGHOST', '127.0.0.1')}:{os.environ.get('PGPORT', '5432')}",
            user=os.environ.get("PGUSER", "grafana"),
            secrets={"password": "kept to itself"},
            jsonData={"database": "mes", "sslmode": "disable"},
        )
        for number in range(DASHBOARDS):
            self.stand_in.dashboards[1, f"line-{number + 1}"] = _dashboard(number)
        self.pools: list[Pool] = []
        self._made_for = -1.0
        self._closing: set[asyncio.Future[None]] = set()

    def pool(self) -> Pool:
        """The one for the next query: a new one when the data source was updated, and the old one is closed soon."""
        if not self.pools or self._made_for != self.row.updated:
            self._made_for = self.row.updated
            for old in self.pools:
                asyncio.get_running_loop().call_later(DISPOSED_AFTER, self._dispose, old)
            self.pools.append(Pool(int(self.row.json_data.get("maxOpenConns") or MAX_OPEN)))
        return self.pools[-1]

    @property
    def updated(self) -> bool:
        """Whether the next query gets a new pool."""
        return self._made_for != self.row.updated

    def _dispose(self, old: Pool) -> None:
        if not old.closed:
            self._closing.add(asyncio.ensure_future(old.close()))


def _dashboard(number: int) -> dict[str, Any]:
    """One dashboard, in the words of the API."""
    kind = {"type": "grafana-postgresql-datasource", "uid": "mes"}
    panels = [
        {
            "id": panel + 1,
            "title": f"Machine {number * PANELS + panel}",
            "datasource": kind,
            "targets": [{"refId": "A", "rawSql": PANEL.format(number * PANELS + panel)}],
        }
        for panel in range(PANELS)
    ]
    title = f"Line {number + 1}"
    return {
        "dashboard": {"uid": f"line-{number + 1}", "title": title, "panels": panels},
        "meta": {"folderTitle": "Production"},
    }


async def refresh(source: Source, dashboards: int) -> None:
    """Ask all panels of that many dashboards at once, and say how it went."""
    pool = source.pool()
    asked = [pool.ask(PANEL.format(machine)) for machine in range(dashboards * PANELS)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    told["errors"] += len(failed)
    truth.note(sessions=sorted(pid for each in source.pools for pid in each.pids), at=time.time(), **told)
    line = f"stand-in for Grafana: {dashboards} dashboards, {len(asked)} panels, {pool.open} connections"
    print(f"{line}, {len(failed)} panels with an error: {failed[0]}" if failed else line, flush=True)


def tell_access(url: str, token: str) -> None:
    """Where the API is, into the file that the environment names."""
    path = os.environ.get("GRAFANA_STAND_IN")
    if path is not None:
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            json.dump({"url": url, "token": token}, file)
        os.replace(path + ".new", path)


async def until_due(source: Source) -> None:
    """Until the next refresh; an update of the data source brings it forward, as its health check does."""
    due = time.monotonic() + REFRESH
    while time.monotonic() < due and not source.updated:  # noqa: ASYNC110 - the API is of another thread
        await asyncio.sleep(0.1)


async def main() -> None:
    """Open one dashboard after the other, then keep all of them on the screens."""
    source = Source()
    with serving(source.stand_in) as url:
        tell_access(url, source.stand_in.token())
        for dashboards in range(1, DASHBOARDS + 1):
            await refresh(source, dashboards)
        while True:
            await until_due(source)
            await refresh(source, DASHBOARDS)


if __name__ == "__main__":
    # What ps and top show is to say it too; the kernel keeps 15 characters.
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write("grafana-standin")
    sys.exit(asyncio.run(main()))
