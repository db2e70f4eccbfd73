from __future__ import annotations

import gc

from pgusher.surfaces.cli import looking, record, serve, watch
from pgusher.surfaces.cli.staying import stays


def test_a_command_that_stays_collects_its_garbage() -> None:
    gc.disable()
    try:
        stays()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.enable()


def test_every_command_that_stays_says_so() -> None:
    for function in (looking._watch, record.run, serve.run, watch.run):
        assert "stays" in function.__code__.co_names, function
