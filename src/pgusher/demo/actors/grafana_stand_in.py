"""A stand-in for Grafana. There is no Grafana here: this is a pool with its defaults, under a load like its own.

What it does like Grafana from 9.5 on: one pool for the data source, at most 100 connections, all 100 of them may stay
open when idle, for four hours; no application_name; all panels of a dashboard ask at once, again at each refresh; and a
panel that gets no connection shows the server's error and tries again at the next refresh.
"""

import asyncio
import sys
import time
from typing import Any

import psycopg
from truth import Truth

MAX_OPEN = 100  # as Grafana's "Max open", left at its default
LIFETIME = 4 * 3600.0  # seconds, as Grafana's "Max lifetime"
DASHBOARDS = 5  # on screens in the office and on the wall
PANELS = 12  # on each of them
REFRESH = 5.0  # seconds

# As slow as a panel over a month of measurements, without the work.
PANEL = "select at as time, pieces as value from measurement, pg_sleep(0.3) where machine = {}"

truth = Truth("grafana_stand_in")


class Pool:
    """Connections as Go's database/sql keeps them: the idle one first, a new one when there is none."""

    def __init__(self) -> None:
        self.open = 0
        self.idle: list[tuple[float, Any]] = []
        self.pids: set[int] = set()
        self.refused = 0
        self.refusal = ""

    async def ask(self, query: str) -> None:
        """Run one panel's query. Raises psycopg.Error."""
        born, connection = self.idle.pop() if self.idle else (time.monotonic(), await self.connect())
        try:
            await (await connection.execute(query)).fetchall()
        except psycopg.Error:
            await self.drop(connection)
            raise
        if time.monotonic() - born > LIFETIME:
            await self.drop(connection)
        else:
            self.idle.append((born, connection))

    async def connect(self) -> Any:
        """Open one more. Raises psycopg.Error, also when the limit is reached: Grafana would wait there."""
        if self.open >= MAX_OPEN:
            raise psycopg.OperationalError(f"the limit of {MAX_OPEN} is reached")
        self.open += 1
        try:
            connection = await psycopg.AsyncConnection.connect("dbname=mes", autocommit=True)
        except psycopg.Error as error:
            self.open -= 1
            self.refused += 1
            self.refusal = str(error)
            raise
        self.pids.add(connection.info.backend_pid)
        return connection

    async def drop(self, connection: Any) -> None:
        """Close one."""
        self.open -= 1
        self.pids.discard(connection.info.backend_pid)
        await connection.close()


async def refresh(pool: Pool, dashboards: int) -> None:
    """Ask all panels of that many dashboards at once, and say how it went."""
    asked = [pool.ask(PANEL.format(machine)) for machine in range(dashboards * PANELS)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    truth.note(sessions=sorted(pool.pids), refused=pool.refused, refusal=pool.refusal)
    line = f"stand-in for Grafana: {dashboards} dashboards, {len(asked)} panels, {pool.open} connections"
    print(f"{line}, {len(failed)} panels with an error: {failed[0]}" if failed else line, flush=True)


async def main() -> None:
    """Open one dashboard after the other, then keep all of them on the screens."""
    pool = Pool()
    for dashboards in range(1, DASHBOARDS + 1):
        await refresh(pool, dashboards)
    while True:
        await asyncio.sleep(REFRESH)
        await refresh(pool, DASHBOARDS)


if __name__ == "__main__":
    # What ps and top show is to say it too; the kernel keeps 15 characters.
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write("grafana-standin")
    sys.exit(asyncio.run(main()))
