"""A client that takes sessions until the server refuses the next one; it tells the words of the refusal too."""

from __future__ import annotations

import argparse
from typing import Any

import psycopg

from tests.bed.holders.sessions import connect, stay
from tests.bed.holders.witness import Witness


def main() -> None:
    """Fill, tell, stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--most", type=int, default=1000, help="give up when this many sessions were not refused")
    args = parser.parse_args()
    witness, keep = Witness(), list[psycopg.Connection[Any]]()
    refusal = ""
    for _ in range(args.most):
        try:
            connection = connect(args.dsn)
        except psycopg.OperationalError as error:
            refusal = str(error)
            break
        keep.append(connection)
        witness.saw(connection, "idle", queried=False)
    witness.write(refusal=refusal)
    stay()


if __name__ == "__main__":
    main()
