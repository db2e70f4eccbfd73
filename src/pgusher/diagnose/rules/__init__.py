"""The rules, one in each module, with its page beside it."""

from __future__ import annotations
