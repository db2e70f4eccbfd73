"""Every ten minutes: write the version of each product down, in all three databases.

How it hangs: the worker of `mes` meets a version that is no number, and raises. `task_done()` is never reached for that
product, the thread is gone, and `join()` in main waits for it: for ever, with one session in each pool.
"""

import queue
import threading

from database import NAMES, Database

todo: dict[str, queue.Queue[int]] = {name: queue.Queue() for name in NAMES}


def worker(name: str) -> None:
    """Take products of one database until the program ends."""
    while True:
        product = todo[name].get()
        with Database(name) as cursor:
            row = cursor.execute("select version from product where id = %s", (product,)).fetchone()
        version = int(row["version"])
        with Database(name) as cursor:
            cursor.execute("insert into version_history (product, version) values (%s, %s)", (product, version))
        todo[name].task_done()


def main() -> None:
    """Give every product to the workers and wait until they are through."""
    with Database("shop") as cursor:
        products = [row["id"] for row in cursor.execute("select id from product order by id")]
    for name in NAMES:
        threading.Thread(target=worker, args=(name,), name=f"worker-{name}", daemon=True).start()
    for product in products:
        for name in NAMES:
            todo[name].put(product)
    for name in NAMES:
        todo[name].join()
    print("all versions written")


if __name__ == "__main__":
    main()
