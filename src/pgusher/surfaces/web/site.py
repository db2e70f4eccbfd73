"""The pages and their data: which address shows what. What may come in was decided before, by the gate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

from pgusher.app.live import Moment, Sum
from pgusher.app.past import Past
from pgusher.app.served_holder import Share, Shown
from pgusher.errors import PgusherError, UsageError
from pgusher.guard.history_entry import Entry
from pgusher.model.address import Micros
from pgusher.model.findings import Diagnosis
from pgusher.model.past import Past as Recorded
from pgusher.model.snapshot import Snapshot
from pgusher.model.stacks import ProcessStacks
from pgusher.model.text import clean
from pgusher.surfaces.metrics import text as metrics
from pgusher.surfaces.render import words
from pgusher.surfaces.render.again import Again
from pgusher.surfaces.render.asjson import state_json, who_json
from pgusher.surfaces.render.find import find
from pgusher.surfaces.render.letters import assign
from pgusher.surfaces.web import detail, pages, share, view
from pgusher.surfaces.web.samples import samples_of
from pgusher.surfaces.web.token import form_key

_BEAT = 15.0
"""Seconds after which a silent stream says that it is still there."""
_STREAMS = 100
"""Streams at once: each is a connection that somebody keeps open."""
_FIELDS = 50
_SOON = 3600.0
"""Seconds: a server that would be full within them is no good news."""
_LETTERS = 1000
_NOT_HAD = 502, "That could not be had"


class Live(Protocol):
    """What has the newest look."""

    def newest(self) -> Moment:
        """What is known now."""

    def sums(self) -> tuple[Sum, ...]:
        """What is kept of earlier looks."""


class Source(Protocol):
    """What the pages are made of, as `pgusher.app.served.Served`."""

    @property
    def live(self) -> Live:
        """The looks."""

    @property
    def allow_actions(self) -> bool:
        """Whether a page may do the safe steps of a plan."""

    @property
    def trouble(self) -> str:
        """Why looks are not kept just now."""

    def threads(self, snapshot: Snapshot, name: str, /) -> Sequence[ProcessStacks]:
        """The stacks of a holder's processes."""

    def plan(self, name: str | None, server: str | None = None) -> dict[str, Any]:
        """A plan, as `pgusher free --json` prints it."""

    def apply(self, plan: str) -> dict[str, Any]:
        """What came of doing its safe steps."""

    def runs(self, holder: str, /) -> Sequence[Entry]:
        """The last runs of a job."""

    def share(self, snapshot: Snapshot, name: str, /) -> Share | None:
        """A holder's part of the budget."""

    def panels(self, snapshot: Snapshot, name: str, /) -> Shown | None:
        """The panels of a Grafana."""

    def past(self, server: str, at: str, span: str, /) -> Past:
        """Who held what at a moment."""

    def recorded(self, snapshot: Snapshot, /) -> Recorded | None:
        """What was recorded of the last day."""

    def refused(self, label: str, /) -> dict[str | None, int] | None:
        """How often a server refused since the start, by its log."""

    def rule(self, name: str) -> str:
        """The page of a rule."""


class Site:
    """All pages of one `pgusher serve`."""

    def __init__(self, source: Source, token: str, *, repeat: str = "pgusher") -> None:
        """`repeat`: the command with its connection options, for what is to be typed."""
        self._source = source
        self._repeat = repeat
        self._again = Again(repeat)
        self._key = form_key(token)
        self._letters: dict[str, str] = {}
        self._streams = 0
        self._templates = Environment(
            loader=PackageLoader("pgusher.surfaces.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_harmless,
        )
        self._templates.globals["age"] = words.age

    def application(self) -> Starlette:
        """The application, without its gate: never served by itself."""
        page, data = self._page, self._data
        routes = [
            Route("/", page(self._state)),
            Route("/state.json", data(self._state_json)),
            Route("/holder", page(self._holder)),
            Route("/holder.json", data(self._holder_json)),
            Route("/session", page(self._session)),
            Route("/session.json", data(self._session_json)),
            Route("/history", page(self._history)),
            Route("/history.json", data(self._history_json)),
            Route("/plan", page(self._plan)),
            Route("/plan.json", data(self._plan_json)),
            Route("/apply", page(self._apply), methods=["POST"]),
            Route("/rule", page(self._rule)),
            Route("/rule.json", data(self._rule_json)),
            Route("/events", self._events),
            Route("/metrics", self._metrics),
            Route("/healthz", self._healthz),
        ]
        static = StaticFiles(packages=[("pgusher.surfaces.web", "static")])
        application = Starlette(routes=routes, exception_handlers={404: self._not_found, 405: self._not_found})
        application.mount("/static", static)
        return application

    # -- what every page has

    def _page(self, make: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                found = await make(request)
            except PgusherError as error:
                status, title = (404, "There is no such thing") if isinstance(error, UsageError) else _NOT_HAD
                return self._none(request, status, title, str(error), error.hint or error.detail or "")
            return found

        return answer

    def _data(self, make: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            try:
                found = await make(request)
            except PgusherError as error:
                told = {"kind": "error", "message": str(error), "detail": error.detail, "hint": error.hint}
                return _json({"schema": 1, **told}, 404 if isinstance(error, UsageError) else 502)
            if found is None:
                return _json({"schema": 1, "kind": "error", "message": "there is no such thing now"}, 404)
            return _json(found)

        return answer

    def _shown(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        moment = self._source.live.newest()
        server = _word(request, "server")
        path = request.url.path if request.method == "GET" else "/"
        data = "/state.json" if path == "/" else f"{path}.json"
        base: dict[str, Any] = {
            "number": moment.number,
            "looked": words.iso(moment.at)[11:19] + "Z" if moment.at else "never",
            "error": str(moment.error) if moment.error is not None else "",
            "home": view.url("/", server) if server else "/",
            "history": view.url("/history", server) if server else "/history",
            "json": f"{data}?{request.url.query}" if request.url.query else data,
            "servers": pages.servers(moment, server),
            "still": False,
            "trouble": self._source.trouble,
            "may_act": self._source.allow_actions,
            "place": "",
            "now": moment.look.snapshots[0].facts.taken_at if moment.look and moment.look.snapshots else moment.at,
        }
        text = self._templates.get_template(template).render({**base, **values})
        return Response(text, status, media_type="text/html")

    def _none(self, request: Request, status: int, title: str, text: str, hint: str = "") -> Response:
        return self._shown(request, "none.html", status, title=title, text=text, hint=hint)

    async def _not_found(self, request: Request, _error: Exception) -> Response:
        if request.url.path.endswith(".json"):
            return _json({"schema": 1, "kind": "error", "message": "there is no such page"}, 404)
        # What is not there has no data either: the link at the foot is that of the first page.
        return self._shown(
            request, "none.html", 404, title="There is no such page", text="", hint="", json="/state.json"
        )

    def _chosen(self, request: Request) -> tuple[Snapshot, Diagnosis] | None:
        found = view.chosen(self._source.live.newest(), _word(request, "server"))
        if found is not None:
            if len(self._letters) > _LETTERS:  # names of months ago: those that are there keep theirs
                present = {holder.name for holder in found[0].holders}
                self._letters = {name: letter for name, letter in self._letters.items() if name in present}
            self._letters.update(assign(found[0].holders, self._letters))
            found = self._again.snapshot(found[0]), self._again.diagnosis(found[1])
        return found

    def _unseen(self, request: Request) -> Response:
        moment = self._source.live.newest()
        why = str(moment.error) if moment.error is not None else "no server of that name was seen"
        hint = moment.error.hint or "" if moment.error is not None else ""
        return self._none(request, 503 if moment.error is not None else 404, "No server to show", why, hint)

    # -- the server

    async def _state(self, request: Request) -> Response:
        found = self._chosen(request)
        if found is None:
            return self._unseen(request)
        snapshot, diagnosis = found
        moment = self._source.live.newest()
        sort = _word(request, "sort")
        past = [one for one in self._source.live.sums() if one.port == snapshot.facts.server.port]
        page = view.state_page(
            snapshot,
            diagnosis,
            self._letters,
            past,
            sort=sort if sort in view.SORTS else "slots",
            only=_word(request, "only"),
            gaps=self._again.gaps(moment.look.gaps) if moment.look is not None else (),
            repeat=self._repeat,
        )
        recorded = await run_in_threadpool(self._source.recorded, snapshot)
        full_in = pages.forecast(past, snapshot, recorded)
        picture = pages.recent(past, self._letters, page.server, full_in, recorded)
        return self._shown(
            request, "state.html", page=page, area=picture, place="state",
            past=words.iso(past[0].at)[11:16] + "Z" if len(past) > 1 else "", all=view.url("/", page.server, sort=sort),
            soon=full_in[1] if full_in is not None and full_in[0] < _SOON and page.tone != "bad" else "",
        )  # fmt: skip

    async def _state_json(self, _request: Request) -> Any:
        moment = self._source.live.newest()
        if moment.look is None:
            return None
        look = moment.look
        return state_json(look.snapshots, look.gaps, look.elapsed_ms, (), moment.diagnoses)

    # -- a holder

    async def _holder(self, request: Request) -> Response:
        found = self._chosen(request)
        if found is None:
            return self._unseen(request)
        asked = _word(request, "name")
        holder = view.holder_called(found[0], asked)
        if holder is None:
            return self._none(
                request, 404, f"{asked or 'nobody'} holds nothing now", "It held no slot at the last look."
            )
        name = holder.name
        letter = self._letters.get(name, "?")
        page = detail.holder_page(*found, holder, letter, view.hue(letter), self._repeat)
        threads = None
        if _word(request, "threads"):
            threads = await run_in_threadpool(self._source.threads, found[0], name)
        runs = await run_in_threadpool(self._source.runs, name)
        budget = await run_in_threadpool(self._source.share, found[0], name)
        panels = await run_in_threadpool(self._source.panels, found[0], name)
        return self._shown(
            request, "holder.html", page=page, threads=threads, runs=pages.runs(runs),
            budget=share.share_words(budget), panels=share.panel_words(panels),
            look_deeper=view.url("/holder", page.server, name=name, threads="1"),
            plan=view.url("/plan", page.server, holder=name), still=threads is not None,
        )  # fmt: skip

    async def _holder_json(self, request: Request) -> Any:
        found = self._chosen(request)
        holder = view.holder_called(found[0], _word(request, "name")) if found is not None else None
        if found is None or holder is None:
            return None
        budget = await run_in_threadpool(self._source.share, found[0], holder.name)
        panels = await run_in_threadpool(self._source.panels, found[0], holder.name)
        told = who_json(find([found[0]], holder.name).matches, (), holder.name)
        return {**told, **share.more_json(budget, panels)}

    # -- a session

    async def _session(self, request: Request) -> Response:
        found = self._chosen(request)
        if found is None:
            return self._unseen(request)
        page = detail.session_page(*found, _number(request, "pid") or 0, _number(request, "start"))
        if page is None:
            return self._none(request, 404, "That session has ended", "Its slot may be another one's by now.")
        return self._shown(request, "session.html", page=page)

    async def _session_json(self, request: Request) -> Any:
        found = self._chosen(request)
        pid, start = _number(request, "pid") or 0, _number(request, "start")
        if found is None or detail.session_page(*found, pid, start) is None:
            return None
        return who_json(find([found[0]], str(pid)).matches, (), str(pid))

    # -- then

    async def _history(self, request: Request) -> Response:
        found = self._chosen(request)
        if found is None:
            return self._unseen(request)
        data = await run_in_threadpool(
            self._source.past, view.key_of(found[0]), _word(request, "at"), _word(request, "span")
        )
        ceilings = found[0].facts.ceilings
        shown = pages.history(data, self._letters, view.key_of(found[0]), ceilings.ordinary if ceilings else None)
        return self._shown(request, "moment.html", place="history", still=True, **shown)

    async def _history_json(self, request: Request) -> Any:
        found = self._chosen(request)
        if found is None:
            return None
        data = await run_in_threadpool(
            self._source.past, view.key_of(found[0]), _word(request, "at"), _word(request, "span")
        )
        return pages.history_json(data)

    # -- plans and rules

    async def _plan_json(self, request: Request) -> Any:
        server = _word(request, "server") or None
        return await run_in_threadpool(self._source.plan, _word(request, "holder") or None, server)

    async def _plan(self, request: Request) -> Response:
        plan = await self._plan_json(request)
        safe = sum(step["safety"] == "safe" for step in plan["steps"])
        return self._shown(
            request, "plan.html", plan=plan, asked=_word(request, "holder"), typed=plan["next"], safe=safe, still=True,
            form_key=self._key, words=pages.plan_words(plan),
        )  # fmt: skip

    async def _apply(self, request: Request) -> Response:
        # The gate has let nothing through but a short form of our own.
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), max_num_fields=_FIELDS))
        plan = form.get("plan", "")[: view.MOST_NAME]
        done = await run_in_threadpool(self._source.apply, plan)
        return self._shown(
            request, "outcome.html", plan=plan, good=done["exit"] == 0, text=pages.outcome_text(done), still=True
        )

    async def _rule(self, request: Request) -> Response:
        name = _word(request, "name")
        text = await run_in_threadpool(self._source.rule, name)
        return self._shown(request, "rule.html", name=name, blocks=pages.blocks(text), still=True)

    async def _rule_json(self, request: Request) -> Any:
        name = _word(request, "name")
        text = await run_in_threadpool(self._source.rule, name)
        return {"schema": 1, "kind": "rule", "name": name, "page": text}

    # -- for programs

    async def _metrics(self, _request: Request) -> Response:
        moment = self._source.live.newest()
        text = metrics.exposition(await run_in_threadpool(samples_of, self._source, moment))
        return PlainTextResponse(text, media_type=None, headers={"content-type": metrics.CONTENT_TYPE})

    async def _healthz(self, _request: Request) -> Response:
        moment = self._source.live.newest()
        well = moment.look is not None and moment.error is None
        error = str(moment.error) if moment.error is not None else None
        told = {"looks": moment.number, "error": error, "not_kept": self._source.trouble or None}
        return _json(told, 200 if well else 503)

    async def _events(self, _request: Request) -> Response:
        if self._streams >= _STREAMS:
            return PlainTextResponse("too many streams\n", 503, headers={"retry-after": "5"})
        live = self._source.live

        async def stream() -> AsyncIterator[str]:
            self._streams += 1
            try:
                seen = live.newest().number
                yield "retry: 2000\n\n"
                loop = asyncio.get_running_loop()
                quiet_since = loop.time()
                while True:
                    # Not a thread for each stream: a hundred that wait would be a hundred threads.
                    await asyncio.sleep(0.25)
                    moment = live.newest()
                    if moment.number > seen:
                        seen, quiet_since = moment.number, loop.time()
                        yield f"event: look\nid: {seen}\ndata: {seen}\n\n"
                    elif loop.time() - quiet_since > _BEAT:
                        quiet_since = loop.time()
                        yield ": still here\n\n"
            finally:
                self._streams -= 1

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _json(data: Any, status: int = 200) -> Response:
    """As JSON in ASCII: it carries every text that a stranger can write, also what no encoding knows."""
    return Response(json.dumps(data), status, media_type="application/json")


def _harmless(value: object) -> object:
    """What a template writes: control characters visibly. What is markup already is our own."""
    return clean(value) if type(value) is str else value


def _word(request: Request, name: str) -> str:
    return request.query_params.get(name, "")[: view.MOST_NAME]


def _number(request: Request, name: str) -> Micros | None:
    text = _word(request, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
