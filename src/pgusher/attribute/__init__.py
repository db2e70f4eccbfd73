"""Facts in, chains out: which holder each session belongs to, how that is known, and where the evidence ends.

`attribute(facts)` gives the snapshot; an `Attributor` does it look after look and keeps what did not change.

The names of holders, which the other commands take as arguments, are `beginning` or `beginning/part`:

| name | who |
|---|---|
| `cron/version_history`, `at/report` | a cron job, by its script or program; an at job |
| `unit/orders-api`, `unit/sync+bob` | a systemd unit; one of a user's own manager, always with the user |
| `container/web-1`, `container/orders-7f9c:app` | a container by its name; in Kubernetes by pod and container |
| `gunicorn/orders`, `grafana`, `celery/shop:beat` | a known program's own tree, by its application where it has one |
| `supervisor/gunicorn:orders`, `runit/orders`, `pm2/server.js` | what a supervisor keeps running |
| `terminal/bob@pts3`, `terminal/bob@ssh`, `tunnel/bob`, `dbeaver/bob` | a person |
| `script/report.py`, `script/app.worker`, `program/orders-go` | a script or module, or an executable in no table |
| `remote/10.0.0.7` | another host |
| `hidden/www-data`, `hidden/grafana:grafana-server` | a user, and the unit if known, whose processes may not be read |
| `gone`, `unknown`, `unknown/172.17.0.2` | no client any more; not known |
| `pgusher`, `pgusher/bob` | this look of pgusher itself; one that somebody else has running |

Parts hold letters, digits and `. _ @ : + -` only. Where two holders would have one name, what tells them apart follows
a plus sign: the user, else the directory or the crontab's file and line, else a checksum. For cron jobs all lines of
all crontabs count, not only those that hold something now. So the name of a holder is the same at each look.

A chain is as certain as its weakest link, a holder as its weakest chain. A chain that ends UNKNOWN is never better than
GUESSED, so that nothing further on takes it for known.
"""

from __future__ import annotations

from pgusher.attribute.attributor import Attributor, attribute

__all__ = ["Attributor", "attribute"]
