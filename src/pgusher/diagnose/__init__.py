"""From a snapshot to findings: the engine, and the rules. Pure: no rule reads, waits or acts.

A rule is `rules/x_y.py`, which decides, and `rules/x_y.md`, which explains; there is nothing else to register. Its name
is `x-y`. Its function `check` names its needs as its arguments (`case` has them all) and yields findings. What
else a rule's module defines:

| name | meaning |
|---|---|
| the first line of its docstring | what `pgusher rules` prints |
| `WORST` | the worst severity that it gives |
| `RATIO` | its threshold, a share of the server's own limits; `check` gets it, or the configuration's, as `ratio` |
| `YIELDS_TO` | names of rules (`"*"`: all) that have said it better when they name the same holder |
"""

from __future__ import annotations
