"""`pgusher schema`: the JSON Schema of what --json prints."""

from __future__ import annotations

from pgusher.surfaces.cli.common import GENERAL
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.options import Command, Values


def run(values: Values, context: Context) -> int:
    """Prints the schema."""
    del values  # it has no options of its own
    import json

    from pgusher.surfaces.render.schema import json_schema

    context.out.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0


COMMAND = Command(
    name="schema",
    summary="the JSON Schema of what --json prints",
    description="Prints the JSON Schema (2020-12) of the objects that --json gives. The key kind says what one is.",
    options=GENERAL,
    run=run,
    examples=(("pgusher schema > pgusher.schema.json", "keep it beside the program that reads the JSON"),),
)
