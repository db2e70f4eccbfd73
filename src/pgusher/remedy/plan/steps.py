"""From drafts that passed to steps: with their identities, their words, what they lose, and what comes back."""

from __future__ import annotations

from pgusher.diagnose.text import MINUTE, count, span
from pgusher.model.evidence import Certainty
from pgusher.model.findings import Finding, Safety
from pgusher.model.plan import Lever, Step
from pgusher.model.process import Process
from pgusher.model.session import Session
from pgusher.remedy.plan.drafts import Draft
from pgusher.remedy.plan.scene import Scene, listens
from pgusher.remedy.plan.undo import process_undo, session_undo

LONG_IDLE = 10 * MINUTE
"""Nobody waits for what has been idle for so long: to end it loses no work."""
_UNSEEN = "nothing that can be seen; its temporary tables and settings, if it has any, cannot be"
"""Of an idle session whose client lives."""
_LEAKED = frozenset({"orphaned-session", "forgotten-session"})


class Steps:
    """Makes the steps of one plan; they get their numbers at the end."""

    def __init__(self, scene: Scene, asked: str) -> None:
        """`asked`: why what no finding is about is in the plan."""
        self._scene = scene
        self._asked = asked

    def session(self, draft: Draft, session: Session, back: str | None) -> Step:
        """A step that ends one session, or what it runs. `back`: why it would come back, if anything says so."""
        scene = self._scene
        holder = scene.holder_of(session.pid)
        safety, loses = self._safety(draft, session)
        lever, text = self._way(draft.lever), self._text(draft, session)
        why = self._why(draft.finding)
        if back is not None and draft.finding is None:
            why += f"; {back}"
        frees = session.takes_slot and draft.lever is not Lever.CANCEL and (back is None or draft.finding is not None)
        return Step(
            0,
            lever,
            text,
            safety,
            loses,
            why,
            draft.finding.id if draft.finding is not None else None,
            draft.finding.certainty if draft.finding is not None else Certainty.PROVEN,
            holder.name if holder is not None else None,
            (scene.identity(session),),
            slots=int(frees),
            undo=session_undo(),
        )

    def process(self, draft: Draft, root: Process, tree: dict[int, Process], held: tuple[Session, ...]) -> Step:
        """A step that ends a process with its descendants."""
        scene = self._scene
        finding = draft.finding
        holder = scene.holder_of(held[0].pid) if held else None
        slots = sum(session.takes_slot for session in held)
        age = span(scene.now - root.start_time)
        more = f" with {count(len(tree) - 1, 'process')} below it" if len(tree) > 1 else ""
        text = f"end process {root.pid} ({scene.looks.of(root).text}){more}, started {age} ago"
        busy = [s for s in held if s.state not in (None, "idle")]
        loses = "what it has not finished"
        if busy:
            loses += f", and what {count(len(busy), 'transaction')} of it has not committed"
        certainty = finding.certainty if finding is not None else Certainty.PROVEN
        if finding is not None and certainty is not Certainty.PROVEN:
            loses += f"; that it hangs is {certainty.value}, not proven"
        return Step(
            0,
            Lever.END_PROCESS,
            text,
            Safety.UNSAFE,
            loses,
            self._why(finding),
            finding.id if finding is not None else None,
            certainty,
            holder.name if holder is not None else None,
            tuple(scene.identity(session) for session in held),
            scene.process_identity(root),
            slots=slots,
            undo=process_undo(scene, holder, root, tuple(tree.values())),
        )

    def drain(self, process: Process, idle: tuple[Session, ...], lent: int) -> Step:
        """A step that asks a process to give back what is idle in its pools."""
        scene = self._scene
        holder = scene.holder_of(idle[0].pid) if idle else None
        kept = f"; {count(lent, 'session')} on loan stay" if lent else ""
        text = f"ask process {process.pid} ({scene.looks.of(process).text}) for its {count(len(idle), 'idle session')}"
        return Step(
            0,
            Lever.DRAIN,
            text + kept,
            Safety.SAFE,
            why="it has pools of pgusher's Database, which can give back what is idle",
            holder=holder.name if holder is not None else None,
            sessions=tuple(scene.identity(session) for session in idle),
            process=scene.process_identity(process),
            slots=len(idle),
            undo=("nothing to do: the pools open sessions again when they need them",),
        )

    def _way(self, lever: Lever) -> Lever:
        """Without SQL a server process is told by a signal."""
        return Lever.END_BACKEND if lever is Lever.TERMINATE and not self._scene.by_sql else lever

    def _text(self, draft: Draft, session: Session) -> str:
        verb = "cancel the statement of" if draft.lever is Lever.CANCEL else "terminate"
        login = f"{session.user or '?'}@{session.database or '?'}"
        quiet = self._scene.quiet.get(session.pid)
        doing = session.state or "of unknown state"
        since = f" for {span(quiet)}" if quiet is not None else ""
        return f"{verb} session {session.pid} ({login}), {doing}{since}"

    def _safety(self, draft: Draft, session: Session) -> tuple[Safety, str]:
        """Whether anybody may miss it, and what is lost then."""
        if draft.lever is Lever.CANCEL:
            return Safety.UNSAFE, "what the statement has done; its transaction fails"
        if session.state != "idle":
            if session.state is None:
                return Safety.UNSAFE, "what it is doing, which is not known"
            return Safety.UNSAFE, "what its transaction has not committed"
        unsure = "; its role may be a superuser, which could not be asked" if session.superuser is None else ""
        finding = draft.finding
        if unsure:
            return Safety.UNSAFE, unsure[2:]
        leaked = finding is not None and finding.rule in _LEAKED
        proven = finding is not None and finding.certainty is Certainty.PROVEN
        if leaked and proven and self._scene.is_gone(session):
            return Safety.SAFE, ""  # whatever it holds, nobody has it any more
        if (held := self._held(session)) is not None:
            return Safety.UNSAFE, held
        if finding is not None and leaked and not proven:
            return Safety.UNSAFE, f"what its client had in it; the finding is {finding.certainty.value}, not proven"
        quiet = self._scene.quiet.get(session.pid)
        if leaked or (quiet is not None and quiet >= LONG_IDLE):
            return Safety.SAFE, _UNSEEN
        last = "since when it is idle is not known" if quiet is None else "it was at work less than 10 minutes ago"
        return Safety.UNSAFE, f"what its client has in it: temporary tables, settings; {last}"

    def _held(self, session: Session) -> str | None:
        """What an idle session holds for others, or itself waits for, besides its slot; None when nothing says so."""
        scene = self._scene
        if any(session.pid in other.blocked_by for other in scene.facts.sessions):
            return "the lock that it holds, for which others wait"
        if scene.locking is None:
            return "the advisory locks that it may hold: the server could not be asked for them"
        if session.pid in scene.locking:
            return "the advisory lock that it holds: what that keeps apart could run twice"
        if listens(session):
            return "the notifications that it listens for"
        return None

    def _why(self, finding: Finding | None) -> str:
        return self._asked if finding is None else finding.message
