"""Seeded incidents, and healthy servers that look like one: what pgusher says of each, and how often it is right.

`python -m tests.incidents` prints the table. An incident is *real* (processes hold sessions on a real server; where it
needs days, the clock of the look is set forward) or a *world* (a server written down in TOML: tests.diagnose.worlds).
"""
