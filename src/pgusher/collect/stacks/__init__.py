"""Stacks: what the threads of the processes that matter are doing."""

from __future__ import annotations

from pgusher.collect.stacks.source import StackSource

__all__ = ["StackSource"]
