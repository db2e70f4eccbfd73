"""What `pgusher budget check` prints: text, GitHub's annotations, JUnit's XML. One case a server, and one a holder."""

from __future__ import annotations

from collections.abc import Sequence

from pgusher.model.budget import Claim, Sheet
from pgusher.model.evidence import Gap
from pgusher.model.text import clean
from pgusher.surfaces.render.budget import may_words, verdict


def wrong(sheet: Sheet, strict: bool) -> list[tuple[str, str, str]]:
    """What makes a check fail, each with the holder ("" for the sum), the message and the place."""
    found = []
    if (sheet.over or 0) > 0 or sheet.over is None:
        found.append(("", verdict(sheet), ""))
    found += [(one.holder, f"{one.holder} has no limit: {one.may.source}", _place(one)) for one in sheet.endless]
    if strict:
        found += [(one.holder, _unknown(one), _place(one)) for one in sheet.unknown]
        found += [(f"not read: {gap.what}", _unread(gap), "") for gap in _gaps(sheet)]
    return found


def _gaps(sheet: Sheet) -> list[Gap]:
    """What is missing in the sum: configurations that could not be read. The others are about who holds what."""
    return list({gap.what: gap for gap in sheet.gaps if gap.source in {"grafana", "pgbouncer"}}.values())


def _unread(gap: Gap) -> str:
    return f"the sum is without what could not be read: {gap.what}: {gap.why}"


def _unknown(claim: Claim) -> str:
    return f"what {claim.holder} may take is not known: {claim.may.source}"


def github(sheets: Sequence[Sheet], strict: bool) -> str:
    """Workflow commands, one a line. Source: GitHub's documentation, "Workflow commands for GitHub Actions"."""
    lines = []
    for sheet in sheets:
        for _, message, place in wrong(sheet, strict):
            file, _, line = place.rpartition(":")
            at = f" file={_property(file)},line={line}" if file and line.isdigit() else ""
            title = f"{',' if at else ' '}title=pgusher budget"
            lines.append(f"::error{at}{title}::{_data(message)}")
        if not strict:
            lines += [f"::warning title=pgusher budget::{_data(_unknown(claim))}" for claim in sheet.unknown]
            lines += [f"::warning title=pgusher budget::{_data(_unread(gap))}" for gap in _gaps(sheet)]
        if not wrong(sheet, strict):
            lines.append(f"::notice title=pgusher budget::{_data(verdict(sheet))}")
    return "".join(f"{line}\n" for line in lines)


def junit(sheets: Sequence[Sheet], strict: bool) -> str:
    """The XML that CI systems read: a suite a server, a case for the sum and one for each holder."""
    suites = []
    tests = failures = 0
    for sheet in sheets:
        said = {holder: message for holder, message, _ in wrong(sheet, strict)}
        cases = [_case("sum", said.get(""), verdict(sheet))]
        cases += [
            _case(claim.holder, said.get(claim.holder), f"may take {may_words(claim)}: {claim.may.source}")
            for claim in sheet.claims
        ]
        cases += [_case(key, said.get(key), _unread(gap)) for gap in _gaps(sheet) for key in [f"not read: {gap.what}"]]
        tests, failures = tests + len(cases), failures + len(said)
        suites.append(
            f'  <testsuite name="pgusher budget of {_xml(sheet.server)}" tests="{len(cases)}" failures="{len(said)}">\n'
            f"{''.join(cases)}  </testsuite>\n"
        )
    head = f'<testsuites name="pgusher budget" tests="{tests}" failures="{failures}">\n'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{"".join(suites)}</testsuites>\n'


def _case(name: str, failure: str | None, text: str) -> str:
    head = f'    <testcase classname="pgusher.budget" name="{_xml(name)}"'
    if failure is None:
        return f"{head}>\n      <system-out>{_xml(text)}</system-out>\n    </testcase>\n"
    return f'{head}>\n      <failure message="{_xml(failure)}"/>\n    </testcase>\n'


def _place(claim: Claim) -> str:
    """Of the first that sets no limit; else of the first."""
    places = [one.place for one in claim.settings if one.value == "no limit"] + [one.place for one in claim.settings]
    return places[0] if places else ""


def _data(text: str) -> str:
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _xml(text: str) -> str:
    """As text of an attribute or element: XML 1.0 knows no control characters, nor half surrogates."""
    plain = clean(text).encode("utf-8", "replace").decode("utf-8")
    for char, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot")):
        plain = plain.replace(char, f"&{name};")
    return "".join(char for char in plain if char not in "\ufffe\uffff")
