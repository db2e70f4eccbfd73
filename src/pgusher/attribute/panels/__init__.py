"""Which panel a query of Grafana's comes from: dashboards in, an index over their SQL, an answer with its doubt.

| module | what it does |
|---|---|
| `dashboards` | the queries in dashboards, library panels, alert rules, variables and annotations |
| `variables`, `macros`, `holes` | what Grafana replaces, as what it becomes, with holes for what is not known |
| `encode` | PostgreSQL's SQL as a text that two ways of writing share |
| `template` | the known stretches of a query, and whether a text fits them, also a cut one |
| `index` | thousands of them, and the answer: exact, the same SQL, candidates, no saved panel |
"""
