"""Worker threads die of an exception before q.task_done(); main waits in q.join() for ever."""

from __future__ import annotations

import queue
import threading

from incident_db import Database  # type: ignore[import-not-found]  # beside it, when it runs

q: queue.Queue[int] = queue.Queue()


def worker() -> None:
    while True:
        job_id = q.get()
        with Database() as cursor:
            row = cursor.execute("select id, v from job where id = %s", (job_id,)).fetchone()
        if job_id % 4 == 3:
            raise ValueError(f"bad row {row}")  # RAISES
        q.task_done()


def main() -> None:
    Database.init()
    for _ in range(4):
        threading.Thread(target=worker, daemon=True).start()
    for i in range(1, 21):
        q.put(i)
    q.join()  # WAITS
    print("done")  # noqa: T201 - as the job of the incident did


main()
