"""Every night: import the supplier's prices.

How it hangs: main, which feeds the writers, meets a price with a comma and raises before it puts the ends. The writers
wait in `get()`; they are no daemon threads, so the interpreter waits for them at its exit, and `atexit` never comes.
"""

import queue
import threading

from database import NAMES, Database

PRICES = "1;19.90\n2;4.50\n3;12,00\n4;7.25\n"

prices: dict[str, queue.Queue[tuple[int, float] | None]] = {name: queue.Queue() for name in NAMES}


def writer(name: str) -> None:
    """Write prices into one database until the end comes."""
    while (item := prices[name].get()) is not None:
        with Database(name) as cursor:
            cursor.execute("update product set price = %s where id = %s", (item[1], item[0]))


def main() -> None:
    """Feed the writers."""
    Database.init()
    for name in NAMES:
        threading.Thread(target=writer, args=(name,), name=f"writer-{name}").start()
    for line in PRICES.splitlines():
        product, price = line.split(";")
        for name in NAMES:
            prices[name].put((int(product), float(price)))
    for name in NAMES:
        prices[name].put(None)


if __name__ == "__main__":
    main()
