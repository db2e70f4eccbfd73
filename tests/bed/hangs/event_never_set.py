"""The thread that should set an Event raises first; main waits in Event.wait(), in an open transaction."""

from __future__ import annotations

import threading

from incident_db import Database  # type: ignore[import-not-found]  # beside it, when it runs

ready = threading.Event()


def loader() -> None:
    with Database() as cursor:
        n = cursor.execute("select count(*) n from job").fetchone()["n"]
    if n != 0:
        raise AssertionError("table not empty")  # RAISES
    ready.set()


def main() -> None:
    Database.init()
    threading.Thread(target=loader, name="loader").start()
    with Database() as cursor:
        cursor.execute("select 1")  # HOLDS
        ready.wait()  # WAITS


main()
