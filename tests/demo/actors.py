"""The programs of the demo as modules: they are scripts that lie beside each other, so they are loaded as such."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pgusher.demo

DIRECTORY = Path(pgusher.demo.__file__).parent / "actors"


def load(name: str) -> ModuleType:
    """The script of that name, not run as a program. It must need none of its neighbours."""
    spec = importlib.util.spec_from_file_location(f"actor_{name}", DIRECTORY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
