"""Which panel a query of Grafana's comes from: saved SQL in, an index over it, an answer with its doubt.

| module | what it does |
|---|---|
| `variables`, `macros`, `holes` | what Grafana replaces, as what it becomes, with holes for what is not known |
| `comments` | comments as some releases of Grafana take them out |
| `encode` | PostgreSQL's SQL as a text that two ways of writing share |
| `template` | the known stretches of a query |
| `fitting` | whether a text fits them, also a cut one, and how well |
| `index` | thousands of them, and the answer: exact, the same SQL, candidates, no saved panel |
"""
