"""The back end that is installed with pgusher, under the name by which a program of one's own is started.

    uvicorn orders_api:app --workers 2

All of it is in src/pgusher/examples/orders_api.py.
"""

from pgusher.examples.orders_api import app

__all__ = ["app"]
