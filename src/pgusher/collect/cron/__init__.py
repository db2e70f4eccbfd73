"""Cron jobs, from every place in which a cron daemon looks for them."""

from pgusher.collect.cron.source import CronFacts, CronSource, look_cron

__all__ = ["CronFacts", "CronSource", "look_cron"]
