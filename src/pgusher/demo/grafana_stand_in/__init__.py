"""A stand-in for Grafana's HTTP API: no Grafana is in it, and nothing here proves what a real one does.

It keeps data sources as Grafana's published source does, with what is dangerous about that: an update replaces the
whole, a `user` that is left out is erased, a stale `version` is refused with 409 and one that is left out overwrites,
what is provisioned is refused with 403, secrets are never given out again, a token is of one organisation, and after an
update the new pool exists beside the old one until that is closed. Read for it: pkg/api/datasources.go,
pkg/api/dtos/datasource.go, pkg/services/datasources/{models.go,service/store.go,service/datasource.go} of
grafana/grafana, and backend/instancemgmt of grafana-plugin-sdk-go. Standard library only.

    stand_in = StandIn()
    stand_in.add("shop", url="db1:5432", user="grafana", jsonData={"database": "shop"}, secrets={"password": "x"})
    token = stand_in.token()
    with serving(stand_in) as url: ...
"""

from __future__ import annotations

from pgusher.demo.grafana_stand_in.api import StandIn
from pgusher.demo.grafana_stand_in.pools import Pool, Pools
from pgusher.demo.grafana_stand_in.server import serving
from pgusher.demo.grafana_stand_in.store import ConflictError, Source, Store

__all__ = ["ConflictError", "Pool", "Pools", "Source", "StandIn", "Store", "serving"]
