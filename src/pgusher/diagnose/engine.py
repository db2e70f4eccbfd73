"""The engine: finds the rules, gives each what it needs, and sorts what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType

from pgusher.diagnose import rules as _package
from pgusher.diagnose.case import Case
from pgusher.diagnose.fold import folded
from pgusher.diagnose.remedies import with_free
from pgusher.model.budget import Declared
from pgusher.model.evidence import Certainty, Gap
from pgusher.model.findings import Diagnosis, Finding, Severity, Skipped
from pgusher.model.past import Past
from pgusher.model.snapshot import Snapshot
from pgusher.model.stacks import Hang
from pgusher.model.values import dataclass

BROKEN = "broken-rule"
"""The name under which a rule that raised is told of, in tests."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. A rule is its module; this says what its module may leave out."""

    name: str
    """ "stuck-job"."""
    summary: str
    """One line, in lower case: what it finds."""
    severity: Severity
    """The worst that it gives."""
    page: str
    """The path of the file that explains it."""
    needs: tuple[str, ...]
    """The names of its arguments."""
    defaults: tuple[object, ...]
    """What the last of them get when they are missing: the rule can do without these."""
    check: Callable[..., Iterable[Finding]]
    ratio: float | None
    """Its threshold; None when it has none."""
    yields_to: tuple[str, ...]


def names() -> tuple[str, ...]:
    """The names of all rules, in their order. Loads none of them."""
    return tuple(name.replace("_", "-") for name in _package.MODULES)


@cache
def rules() -> tuple[Rule, ...]:
    """All rules there are, by name: each module of the package `rules` is one."""
    return tuple(rule_of(import_module(f"{_package.__name__}.{name.replace('-', '_')}")) for name in names())


def rule_of(module: ModuleType) -> Rule:
    """The rule that a module is."""
    check = module.check
    code = check.__code__
    return Rule(
        name=module.__name__.rpartition(".")[2].replace("_", "-"),
        summary=(module.__doc__ or "").partition("\n")[0].rstrip("."),
        severity=module.WORST,
        page=(module.__file__ or "").removesuffix(".py") + ".md",
        # The names of a function's arguments come first among its variables: `inspect` says the same, more slowly.
        needs=code.co_varnames[: code.co_argcount],
        defaults=check.__defaults__ or (),
        check=check,
        ratio=getattr(module, "RATIO", None),
        yields_to=getattr(module, "YIELDS_TO", ()),
    )


def diagnose(  # noqa: PLR0913 - each is a source of its own, and may be missing
    snapshot: Snapshot,
    *,
    hangs: Sequence[Hang] | Gap | None = None,
    earlier: Snapshot | None = None,
    history: Past | Gap | None = None,
    budgets: Sequence[Declared] = (),
    ignore: Iterable[str] = (),
    ratios: Mapping[str, float] | None = None,
    strict: bool = False,
    of: Sequence[Rule] | None = None,
) -> Diagnosis:
    """What the rules find in a snapshot.

    `hangs` are what the stacks showed; a Gap when they could not be taken, None when nobody asked. `earlier` is the
    snapshot of the look before, `history` what was recorded, `budgets` what was declared. `ignore` has names of rules
    ("stuck-job") and of findings ("stuck-job:cron/report"); `ratios` thresholds by the names of rules. A rule that
    raises is skipped, and its words are the reason; if `strict` it is a finding, so that tests see it. `of`: these
    rules instead of all.
    """
    case = Case(snapshot, hangs=hangs, earlier=earlier, history=history, budgets=budgets)
    unwanted = frozenset(ignore)
    found: list[Finding] = []
    skipped: list[Skipped] = []
    asked: list[str] = []
    yielding: dict[str, tuple[str, ...]] = {}
    for rule in rules() if of is None else of:
        if rule.name in unwanted:
            continue
        yielding[rule.name] = rule.yields_to
        try:
            given = _given(case, rule, (ratios or {}).get(rule.name, rule.ratio))
            if isinstance(given, Skipped):
                skipped.append(given)
                continue
            found += map(with_free, rule.check(*given))
            asked.append(rule.name)
        except Exception as error:  # noqa: BLE001 - one broken rule must not cost what the others know
            if strict:
                found.append(_broken(rule, error))
            skipped.append(Skipped(rule.name, "a rule without a bug", _bug(rule, error)))
    told = list(_without_yielding(found, yielding))
    ignored = tuple(dict.fromkeys(finding.id for finding in told if finding.id in unwanted))
    wanted = [finding for finding in told if finding.id not in unwanted]
    return Diagnosis(folded(wanted, case.need("hangs")), tuple(skipped), ignored, tuple(asked))


def _given(case: Case, rule: Rule, ratio: float | None) -> list[object] | Skipped:
    values: list[object] = []
    required = len(rule.needs) - len(rule.defaults)
    for at, name in enumerate(rule.needs):
        value = ratio if name == "ratio" else case.need(name)
        if isinstance(value, Gap):
            if at < required:
                return Skipped(rule.name, name, value)
            value = rule.defaults[at - required]
        values.append(value)
    return values


def _without_yielding(found: list[Finding], yielding: Mapping[str, tuple[str, ...]]) -> Iterator[Finding]:
    """Without those that another rule has said better, of the same holder."""
    by_holder: dict[str | None, set[str]] = {}
    for finding in found:
        if finding.severity is not Severity.NOTE and not finding.symptom:
            by_holder.setdefault(finding.holder, set()).add(finding.rule)
    for finding in found:
        others = by_holder.get(finding.holder, set()) - {finding.rule} if finding.holder is not None else set()
        to = yielding.get(finding.rule, ())
        if not (others if "*" in to else others & set(to)):
            yield finding


def _bug(rule: Rule, error: Exception) -> Gap:
    what = f"what rule {rule.name} would find"
    return Gap("rules", what, f"{type(error).__name__}: {str(error)[:200]}", "report it: it is a bug of pgusher")


def _broken(rule: Rule, error: Exception) -> Finding:
    return Finding(
        BROKEN,
        Severity.CRITICAL,
        Certainty.PROVEN,
        rule.name,
        f"rule {rule.name} raised {type(error).__name__}"[:79],
        (str(error)[:400],),
    )
