"""Every hour: fill the stock report from what the MES has counted.

How it hangs: the thread that loads the counts raises before it sets `loaded`, and main waits for that, in the middle of
a transaction on `report`, so that one session of each run is idle in transaction.
"""

import threading

from database import Database

loaded = threading.Event()
stock: dict[int, int] = {}


def load() -> None:
    """Read the counts of the MES."""
    with Database("mes") as cursor:
        rows = cursor.execute("select product, pieces, boxes from stock order by product").fetchall()
    for row in rows:
        stock[row["product"]] = row["pieces"] // row["boxes"]
    loaded.set()


def main() -> None:
    """Load in the background, open the report, then write it."""
    Database.init()
    threading.Thread(target=load, name="load").start()
    with Database("report") as cursor:
        cursor.execute("delete from stock_report where day = current_date")
        loaded.wait()
        for product, pieces in stock.items():
            cursor.execute("insert into stock_report (product, pieces) values (%s, %s)", (product, pieces))
    print("report written")


if __name__ == "__main__":
    main()
