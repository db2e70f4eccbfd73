"""`pgusher doctor`: what pgusher can see here, what it cannot, and what would open it."""

from __future__ import annotations

from pgusher.model.values import dataclass
from pgusher.surfaces.cli.common import CONNECTION, GENERAL, PRINT, again, request_of
from pgusher.surfaces.cli.context import Context
from pgusher.surfaces.cli.looking import Waiting
from pgusher.surfaces.cli.options import Command, Values


@dataclass(frozen=True, slots=True)
class _Check:
    """A check as it is shown: what opens it looks at the same server."""

    name: str
    sight: str
    fact: str
    why: str
    opens: str


def run(values: Values, context: Context) -> int:
    """Shows the checks. Exit code 1 when anything is not seen whole."""
    request = request_of(values, context.app.config(values["config"]))
    with Waiting(context, request):
        seen = context.app.examine(request)
    complete = again(values, context)
    checks = [_Check(c.name, c.sight, c.fact, c.why, complete.text(c.opens)) for c in seen]
    if values["json"]:
        import json

        from pgusher.surfaces.render.asjson import doctor_json

        context.out.write(json.dumps(doctor_json(checks)) + "\n")
    else:
        from pgusher.surfaces.render.doctor import doctor_page

        screen = context.out.screen(values["color"], values["plain"], values["width"])
        context.out.write(screen.page(doctor_page(screen, checks)))
    return int(any(check.sight != "sees" for check in checks))


COMMAND = Command(
    name="doctor",
    summary="what it can see here, what it cannot, and what would open it",
    description=(
        "Tries each source on this host and says what it sees whole, in part or not at all, why, and the exact command "
        "or setting that opens it. It changes nothing."
    ),
    options=CONNECTION + PRINT + GENERAL,
    run=run,
    examples=(
        ("pgusher doctor", "this host, as whom you are"),
        ("sudo pgusher doctor", "the same as root"),
        ("pgusher doctor -h db.example -U monitor", "what a role may see on a server elsewhere"),
    ),
)
