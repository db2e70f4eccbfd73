"""Dashboards to match against, made up: a corpus for tests and measurements, the same for the same seed.

They are made to be hard to tell apart: the same table with another column, the same SQL with another literal, the same
SQL on two dashboards, a long common beginning that only differs behind the 1,023 bytes that a server shows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

SOURCE = {"type": "grafana-postgresql-datasource", "uid": "pg-main"}
_SUBJECTS = ("order", "invoice", "sensor", "login", "page_view", "shipment", "payment", "device", "job", "ticket")
_ASPECTS = ("daily", "raw", "history", "archive", "events", "totals", "staging", "errors")
_COLUMNS = (
    "amount",
    "value",
    "duration_ms",
    "price",
    "temperature",
    "size_bytes",
    "latency",
    "quantity",
    "score",
    "cpu",
)
_KEYS = ("region", "host", "customer_id", "status", "kind", "site", "tenant", "device_id")
_FUNCTIONS = ("avg", "sum", "max", "min", "count", "stddev")
_TIMES = ("ts", "created_at", '"time"', "t.recorded_at", "day")
_WORDS = ("paid", "open", "it''s late", "EU-West", "error", "a,b (c)", "50%", "--none", "/*x*/", "Müller")


class Maker:
    """Makes dashboards out of a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._last: list[str] = []

    def _one(self, several: tuple[str, ...]) -> str:
        return self._random.choice(several)

    def table(self) -> str:
        schema = self._one(("", "", "shop.", "metrics.", '"Prod".'))
        return f"{schema}{self._one(_SUBJECTS)}_{self._one(_ASPECTS)}_{self._random.randrange(40)}"

    def condition(self) -> str:
        key, word = self._one(_KEYS), self._one(_WORDS)
        return self._one((
            f"{key} = '{word}'",
            f"{key} IN ($region)",
            f"{key} = '$host'",
            f"{key} IN (${{customer:sqlstring}})",
            f"{key}::text ~ '${{pattern:regex}}'",
            f"{key} = ANY(ARRAY[[[ids]]]::int[])",
            f"lower({key}) LIKE '%${{host}}%' -- as typed",
            f"{key} > {self._random.randrange(100)}",
            f"data->>'{key}' <> '{word}'",
        ))  # fmt: skip

    def where(self, time: str, most: int = 3) -> str:
        parts = [self._one((f"$__timeFilter({time})", f"{time} >= $__timeFrom() AND {time} < $__timeTo()",
                            f"$__unixEpochFilter({time})"))]  # fmt: skip
        parts += [self.condition() for _ in range(self._random.randrange(most + 1))]
        return "\n  AND ".join(parts)

    def series(self) -> str:
        time, column = self._one(_TIMES), self._one(_COLUMNS)
        group = self._one((f"$__timeGroupAlias({time},$__interval)", f"$__timeGroup({time}, '5m') AS time",
                           f"$__timeGroupAlias({time},'1h',0)", f"$__unixEpochGroupAlias({time},$__interval)",
                           f"date_trunc('hour', {time}) AS time"))  # fmt: skip
        metric = f"\n  {self._one(_KEYS)} AS metric," if self._random.random() < 0.4 else ""
        return (
            f'SELECT\n  {group},{metric}\n  {self._one(_FUNCTIONS)}({column}) AS "{column}"\nFROM {self.table()}\n'
            f"WHERE {self.where(time)}\nGROUP BY 1{',2' if metric else ''}\nORDER BY 1"
        )

    def stat(self) -> str:
        time = self._one(_TIMES)
        return f"SELECT {self._one(_FUNCTIONS)}({self._one(_COLUMNS)}) FROM {self.table()} WHERE {self.where(time, 2)};"

    def listing(self) -> str:
        table = self.table()
        columns = ",\n       ".join(f"t.{one}" for one in self._random.sample(_COLUMNS, self._random.randrange(2, 7)))
        other = f"left join $schema.{self._one(_SUBJECTS)}s o on o.id = t.{self._one(_KEYS)}"
        return (
            f"/* listing of {self._one(_SUBJECTS)}s */ select {columns}\n  from {table} t\n  {other}\n"
            f" where {self.where('t.ts')}\n order by t.{self._one(_COLUMNS)} desc limit ${{rows}}"
        )

    def long(self) -> str:
        parts = [
            f"part_{number} AS (\n    SELECT $__timeGroup(ts, $__interval) AS bucket, {self._one(_KEYS)},\n"
            f"           {self._one(_FUNCTIONS)}({self._one(_COLUMNS)}) AS v{number}\n      FROM {self.table()}\n"
            f"     WHERE {self.where('ts')}\n     GROUP BY 1, 2\n)"
            for number in range(self._random.randrange(3, 8))
        ]
        return f"WITH {', '.join(parts)}\nSELECT bucket AS time, v0 FROM part_0 JOIN part_1 USING (bucket)\nORDER BY 1"

    def sql(self) -> str:
        chance = self._random.random()
        if self._last and chance < 0.1:  # the same with one thing changed
            old = self._one(tuple(self._last))
            for words in (_FUNCTIONS, _COLUMNS, _ASPECTS):
                for word in words:
                    if word in old:
                        return old.replace(word, self._one(words), 1)
        if self._last and chance < 0.15:
            return self._one(tuple(self._last))
        made = self._one(("series", "series", "series", "stat", "listing", "long"))
        sql: str = getattr(self, made)()
        self._last = [*self._last[-200:], sql]
        return sql

    def dashboard(self, number: int, panels: int) -> dict[str, Any]:
        """A dashboard as `GET /api/dashboards/uid/:uid` gives it; every third in the shape with `elements`."""
        made: list[dict[str, Any]] = [
            {
                "id": one,
                "type": "timeseries",
                "title": f"Panel {one}",
                "datasource": SOURCE,
                "targets": [{"refId": "A", "rawSql": self.sql(), "datasource": SOURCE, "format": "table"}],
            }
            for one in range(1, panels + 1)
        ]
        title, uid = f"Dashboard {number}", f"dash-{number}"
        variable = {
            "name": "host",
            "type": "query",
            "datasource": SOURCE,
            "query": f"SELECT DISTINCT host FROM {self.table()}",
        }
        if number % 3 == 2:
            elements = {f"panel-{one['id']}": _element(one) for one in made}
            spec = {"title": title, "elements": elements}
            return {"apiVersion": "dashboard.grafana.app/v2", "metadata": {"name": uid}, "spec": spec}
        row = {"type": "row", "title": "More", "id": 900, "panels": made[panels // 2 :]}
        body = {"uid": uid, "title": title, "templating": {"list": [variable]}, "panels": [*made[: panels // 2], row]}
        if number % 3 == 1:
            body = {"uid": uid, "title": title, "rows": [{"panels": made}]}
        return {"dashboard": body, "meta": {"folderTitle": "Made up"}}


def _element(panel: dict[str, Any]) -> dict[str, Any]:
    queries = [
        {
            "kind": "PanelQuery",
            "spec": {
                "refId": target["refId"],
                "query": {
                    "kind": "DataQuery",
                    "group": SOURCE["type"],
                    "datasource": {"name": SOURCE["uid"]},
                    "spec": {"rawSql": target["rawSql"]},
                },
            },
        }
        for target in panel["targets"]
    ]
    data = {"kind": "QueryGroup", "spec": {"queries": queries}}
    return {"kind": "Panel", "spec": {"id": panel["id"], "title": panel["title"], "data": data}}


def dashboards(panels: int, seed: int = 7, each: int = 25) -> Iterator[dict[str, Any]]:
    """Dashboards with so many panels together."""
    maker = Maker(seed)
    for number, start in enumerate(range(0, panels, each)):
        yield maker.dashboard(number, min(each, panels - start))
