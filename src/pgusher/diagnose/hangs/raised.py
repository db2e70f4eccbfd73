"""The line that raised: from the job's log, or the call that an error skips because it stands in no finally block."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.diagnose.hangs.scene import Draft
from pgusher.diagnose.hangs.waits import at_line
from pgusher.model.evidence import Certainty
from pgusher.model.stacks import Clue, ClueKind, Raised, is_foreign

_SKIPPED = {
    "queue-join-no-worker": ("task_done",),
    "queue-join-task-not-done": ("task_done",),
    "queue-get-no-producer": ("put",),
    "event-never-set": ("set",),
    "condition-never-notified": ("notify", "notify_all"),
    "semaphore-not-released": ("release",),
    "barrier-never-full": ("wait",),
    "lock-holder-gone": ("release",),
    "pool-empty": ("putconn",),
    "future-never-done": ("set_result",),
}
_NO_ERROR = frozenset({"lock-order", "lock-taken-twice", "debugger-prompt", "input-prompt", "child-pipe-full",
                       "mp-join-before-drain", "executor-waits-on-itself", "fork-with-held-lock"})  # fmt: skip
"""Mechanisms that need no error: a traceback in the log has nothing to do with them."""


def raised(draft: Draft, clues: Sequence[Clue]) -> Raised | None:
    """The line that brought it about, as far as it can be told."""
    if draft.mechanism in _NO_ERROR:
        return None
    skipped = _skipped(draft, clues)
    logged = [clue for clue in clues if clue.kind is ClueKind.TRACEBACK and not is_foreign(clue.file)]
    if logged:
        last = logged[-1]
        fits = [one for one in logged if skipped is not None and _inside(one, skipped)]
        best = fits[-1] if fits else last
        certainty = Certainty.LIKELY if fits or len(logged) == 1 else Certainty.GUESSED
        how = f"the job's log has a traceback that ends there ({best.what})"
        return Raised(best.file, best.line, certainty, how, best.function, best.what)
    if skipped is None:
        return None
    name = skipped.what.rpartition(".")[2]
    last_line = skipped.line - 1
    stretch = f"line {skipped.after}" if skipped.after == last_line else f"lines {skipped.after} to {last_line}"
    how = f"{name}() at line {skipped.line} is in no finally block: an error in {stretch} skips it"
    if len(skipped.raises) == 1:
        return Raised(skipped.file, skipped.raises[0], Certainty.GUESSED, how, skipped.function)
    return Raised(skipped.file, skipped.after, Certainty.GUESSED, how, skipped.function, None, last_line)


def _inside(logged: Clue, skipped: Clue) -> bool:
    return logged.file == skipped.file and skipped.after <= logged.line < skipped.line


def _skipped(draft: Draft, clues: Sequence[Clue]) -> Clue | None:
    """The one call that was skipped; None when there is none, or several that could be meant."""
    names = _SKIPPED.get(draft.mechanism)
    if names is None:
        return None
    found = [clue for clue in clues if clue.kind is ClueKind.NOT_IN_FINALLY and clue.what.rpartition(".")[2] in names]
    receivers = {said.rpartition(".")[0] for said in at_line(clues, draft.leaf.user)}
    same = [clue for clue in found if clue.what.rpartition(".")[0] in receivers]
    chosen = same or found
    # The line that waits is not the one that was skipped (a Barrier's wait is both).
    user = draft.leaf.user
    chosen = [clue for clue in chosen if user is None or clue.line != user.line] or chosen
    return chosen[0] if len({clue.function for clue in chosen}) == 1 else None
