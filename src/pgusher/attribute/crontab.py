"""Crontab lines, and which of them a command line comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgusher.attribute.command import family, job_label
from pgusher.attribute.shell import basename, inner, simple_commands
from pgusher.model.jobs import CronEntry, CronKind
from pgusher.model.redact import HIDDEN
from pgusher.model.values import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """All lines that run one command as one user: nothing that is seen of a run tells them apart."""

    entries: tuple[CronEntry, ...]
    """Sorted by file and line; at least one."""

    @property
    def key(self) -> tuple[str, ...]:
        """Its identity: the places where it is written."""
        return ("cron", *(f"{entry.file}:{entry.line}" for entry in self.entries))

    @property
    def places(self) -> str:
        """`/etc/cron.d/reports:3`; all of them when there are several."""
        return ", ".join(place(entry) for entry in self.entries)


def place(entry: CronEntry) -> str:
    """Where an entry is written."""
    return f"{entry.file}:{entry.line}" if entry.line else entry.file


class Crontab:
    """All entries of the facts, joined to jobs and ready to be asked."""

    def __init__(self, entries: Iterable[CronEntry]) -> None:
        by_command: dict[tuple[str, str | None, CronKind], set[CronEntry]] = {}
        for entry in entries:
            kind = entry.kind if entry.kind in (CronKind.RUN_PARTS, CronKind.AT) else CronKind.SYSTEM
            # A script of run-parts is known by its file, an at job by its spool file: their commands are not compared.
            command = entry.command.strip() if kind is CronKind.SYSTEM else f"{entry.file}:{entry.line}"
            by_command.setdefault((command, entry.user, kind), set()).add(entry)
        self.jobs: tuple[Job, ...] = tuple(
            sorted((Job(tuple(sorted(found, key=_order))) for found in by_command.values()), key=lambda job: job.key)
        )
        self._labels: dict[Job, str] = {}
        self._exact: dict[str, list[Job]] = {}
        self._files: dict[str, Job] = {}
        self.at: list[Job] = []
        for job in self.jobs:
            first = job.entries[0]
            if first.kind is CronKind.RUN_PARTS:
                self._files.setdefault(first.file, job)
            elif first.kind is CronKind.AT:
                self.at.append(job)
            else:
                self._exact.setdefault(first.command.strip(), []).append(job)
        self._words: dict[str, list[tuple[Job, list[str]]]] | None = None

    def label(self, job: Job) -> str:
        """The name that the crontab gives a job, or the script or program that its command is about."""
        label = self._labels.get(job)
        if label is None:
            first = job.entries[0]
            label = self._labels[job] = first.name or job_label(first.command)
        return label

    def with_command(self, command: str, user: str | None) -> tuple[list[Job], list[Job]]:
        """The jobs whose command this is: those that run as `user`, and those that do not."""
        found = self._exact.get(command.strip(), [])
        mine = [job for job in found if _same_user(job, user)]
        return mine, [job for job in found if job not in mine]

    def script(self, path: str) -> Job | None:
        """The script of run-parts at `path`."""
        return self._files.get(path)

    def with_argv(self, argv: Sequence[str], user: str | None) -> list[Job]:
        """The jobs of which one simple command has become this command line: the shell is gone, or was left."""
        if self._words is None:
            self._words = {}
            for job in self.jobs:
                if job.entries[0].kind not in (CronKind.RUN_PARTS, CronKind.AT):
                    for words in _forms(job.entries[0].command):
                        for name in {basename(word) for at, word in enumerate(words) if _telling(word, at)}:
                            self._words.setdefault(name, []).append((job, words))
        found = {
            job
            for name in {basename(word) for word in argv}
            for job, words in self._words.get(name, ())
            if _same_user(job, user) and became(words, argv)
        }
        return sorted(found, key=lambda job: job.key)


def _order(entry: CronEntry) -> tuple[str, int, str, str]:
    return entry.file, entry.line, entry.schedule, repr(entry)


def _same_user(job: Job, user: str | None) -> bool:
    return user is None or job.entries[0].user is None or job.entries[0].user == user


def _forms(command: str) -> Iterable[list[str]]:
    """The simple commands of a line, as written and without what they are wrapped in."""
    for words in simple_commands(command):
        yield words
        for stripped in inner(words):
            if stripped != words:
                yield stripped


def became(words: Sequence[str], argv: Sequence[str]) -> bool:
    """Whether the words of a crontab line can have become the command line `argv`.

    A word with an expansion, or with a secret hidden in either, may be anything; but one word that is neither this nor
    the name of an interpreter must be the same. A script is also found behind the interpreter of its first line.
    """
    for skip in range(3):
        if skip and (len(argv) <= skip or (family(basename(argv[0])) is None and basename(argv[0]) != "env")):
            return False
        if len(words) == len(argv) - skip and _same(words, argv[skip:]):
            return True
    return False


def _same(words: Sequence[str], argv: Sequence[str]) -> bool:
    telling = 0
    for at, (word, other) in enumerate(zip(words, argv, strict=True)):
        if word == other or (at == 0 and basename(word) == basename(other)):
            telling += _telling(word, at)
        elif not (HIDDEN in word or HIDDEN in other or any(letter in word for letter in "$`*?~{")):
            return False
    return telling > 0


def _telling(word: str, at: int) -> bool:
    """Whether a word, at its place in a command, says what is run: an interpreter's name or an option does not."""
    return not word.startswith("-") and not (at == 0 and family(basename(word)) is not None)
