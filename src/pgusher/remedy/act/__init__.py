"""The only code of pgusher that ends anything.

`act` does the chosen steps of a plan and says what became of each. It checks every identity again in the same breath
as it acts, signals all first and waits once, and leaves a line in the log before and after each act.
"""

from __future__ import annotations

from pgusher.remedy.act.interrupted import InterruptedActError
from pgusher.remedy.act.log import Log, LogError, place
from pgusher.remedy.act.run import Context, act
from pgusher.remedy.act.sessions import Sql

__all__ = ["Context", "InterruptedActError", "Log", "LogError", "Sql", "act", "place"]
