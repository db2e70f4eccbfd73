"""Which timers start a unit. systemd.timer(5)."""

from __future__ import annotations

from pgusher.collect.systemd import names
from pgusher.collect.systemd.manager import Manager


class Timers:
    """The timers of one manager.

    Only those that something pulls in, or that were made at run time: a timer that is installed and not enabled starts
    nothing. (One that was started by hand without being enabled is missed.) Where no timer at all is pulled in, as in
    a file system that systemd never booted, every one counts.
    """

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        wanted = manager.wanted(".timer")
        installed = manager.names(".timer")
        self._templates = {name for name in installed if _is_template(name)} if not wanted else set()
        counting = wanted | manager.names(".timer", transient=True) if wanted else installed
        self._starts = {timer: self._started_by(timer) for timer in counting if not _is_template(timer)}

    def of(self, unit: str) -> tuple[str, ...]:
        """The timers that start `unit`, sorted."""
        found = {timer for timer, started in self._starts.items() if started == unit}
        instance = names.split(unit).instance
        if instance:
            for template in self._templates:
                timer = f"{names.split(template).prefix}@{instance}.timer"
                if self._started_by(timer) == unit:
                    found.add(timer)
        return tuple(sorted(found))

    def _started_by(self, timer: str) -> str | None:
        file = self._manager.find(timer)
        if file is None or self._manager.is_masked(file):
            return None
        unit = self._manager.settings(timer, file).get(("Timer", "Unit"))
        return names.expand(unit, timer) if unit else timer.removesuffix(".timer") + ".service"


def _is_template(name: str) -> bool:
    return names.split(name).instance == ""
