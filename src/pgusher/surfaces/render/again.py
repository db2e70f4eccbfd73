"""Commands of pgusher inside texts (remedies, hints, what opens a gap), made to ask the same server again.

Rules and sources know nothing of the options that were typed; a command without them would look at another server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pgusher.model.evidence import Gap
from pgusher.model.findings import Diagnosis, Finding
from pgusher.model.snapshot import Snapshot
from pgusher.model.values import replace

# "run pgusher as root" and "'pgusher[why]'" are no commands; pages and lists of rules ask no server.
_COMMAND = re.compile(
    r"(?<![\w/.'-])"
    r"(?:(sudo )pgusher(?= -|[;,]|$)|(sudo )?pgusher (who|why|doctor|report|free)\b|pgusher(?= -)|^pgusher$)"
)
_TARGET = re.compile(r" (?:-h|-p|--(?:dsn|host|port|username|dbname|service|no-sql|config|from))\b")


class Again:
    """Puts the options of one command line into the commands that follow from it."""

    def __init__(self, repeat: str = "pgusher", program: str = "pgusher") -> None:
        """`repeat` is the command as it was typed, with its connection options; `program` is how sudo finds it."""
        self._options = repeat.removeprefix("pgusher")
        self._program = program

    @property
    def idle(self) -> bool:
        """Whether every text stays as it is."""
        return not self._options and self._program == "pgusher"

    def text(self, text: str) -> str:
        """The text with its commands completed; those that name a server themselves stay as they are."""
        if self.idle or "pgusher" not in text:
            return text
        return _COMMAND.sub(lambda found: self._command(found, text), text)

    def _command(self, found: re.Match[str], text: str) -> str:
        sudo, verb = found[1] or found[2] or "", found[3]
        behind = re.split(r"[;,]", text[found.end() :], maxsplit=1)[0]
        options = self._options
        if _TARGET.search(behind):
            options = ""
        elif " --from" in options and (sudo or verb in {"doctor", "free"} or re.match(" --(watch|save)", behind)):
            options = ""  # it asks a server, and a file was looked into
        words = [self._program if sudo else "pgusher", options.strip(), verb or ""]
        return sudo + " ".join(word for word in words if word)

    def gaps(self, gaps: Iterable[Gap]) -> tuple[Gap, ...]:
        """What opens each of them."""
        return tuple(replace(gap, opens=self.text(gap.opens)) for gap in gaps)

    def snapshot(self, snapshot: Snapshot) -> Snapshot:
        """Its gaps; all else, and above all what it holds, is the same object."""
        if self.idle or not snapshot.facts.gaps:
            return snapshot
        return replace(snapshot, facts=replace(snapshot.facts, gaps=self.gaps(snapshot.facts.gaps)))

    def diagnosis(self, diagnosis: Diagnosis) -> Diagnosis:
        """The remedies of its findings, and what would let the rules be asked that were not."""
        if self.idle:
            return diagnosis
        skipped = tuple(replace(one, gap=replace(one.gap, opens=self.text(one.gap.opens))) for one in diagnosis.skipped)
        return replace(diagnosis, findings=tuple(map(self._finding, diagnosis.findings)), skipped=skipped)

    def _finding(self, finding: Finding) -> Finding:
        remedies = tuple(
            replace(remedy, text=self.text(remedy.text), command=self.text(remedy.command))
            for remedy in finding.remedies
        )
        return replace(finding, remedies=remedies)
