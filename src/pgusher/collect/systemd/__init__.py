"""systemd's units, by the cgroups of processes."""

from pgusher.collect.systemd.names import unit_of
from pgusher.collect.systemd.source import UnitFacts, UnitSource, look_units

__all__ = ["UnitFacts", "UnitSource", "look_units", "unit_of"]
