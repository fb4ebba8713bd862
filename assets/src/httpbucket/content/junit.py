"""JUnit's XML as a list of test results.

Read with expat, event by event; a document type, and with it every entity, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal
from xml.parsers import expat

Outcome = Literal["failed", "error", "skipped", "passed"]

#: In the order in which they are shown.
OUTCOMES: tuple[Outcome, ...] = ("failed", "error", "skipped", "passed")

_BAD_ENDS: dict[str, Outcome] = {"failure": "failed", "error": "error", "skipped": "skipped"}
_ROOTS = ("testsuites", "testsuite")


class NotJunit(ValueError):
    """The text is no XML, no test results, or has a document type."""


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test; ``suite`` and ``group`` say where it belongs, ``message`` and ``text`` what broke.

    ``seconds`` is None where the file does not say.
    """

    __test__ = False

    suite: str
    group: str
    name: str
    outcome: Outcome = "passed"
    seconds: float | None = None
    message: str = ""
    text: str = ""


@dataclass(frozen=True)
class TestReport:
    """All tests of a file, failures first, else in their order."""

    __test__ = False

    cases: Sequence[TestCase]

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many ended in each way; only ways that there are."""
        outcomes = [case.outcome for case in self.cases]
        counts = {outcome: outcomes.count(outcome) for outcome in OUTCOMES}
        return {outcome: count for outcome, count in counts.items() if count}


def read_report(content: bytes) -> TestReport:
    """Read a file of test results. Raises `NotJunit`."""
    reader = _Reader()
    try:
        _parser(reader).Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise NotJunit(str(error)) from error
    return TestReport(sorted(reader.cases, key=lambda case: OUTCOMES.index(case.outcome)))


def _parser(reader: _Reader) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    return parser


def _refuse_document_type(*_: object) -> None:
    raise NotJunit("the file has a document type")


@dataclass
class _Reader:
    """Takes in the elements as they come."""

    cases: list[TestCase] = field(default_factory=list)
    _suites: list[str] = field(default_factory=list)
    _case: TestCase | None = None
    _text: list[str] | None = None
    _has_root: bool = False

    def start(self, tag: str, values: dict[str, str]) -> None:
        if not self._has_root and tag not in _ROOTS:
            raise NotJunit(f"the file begins with <{tag[:80]}>")
        self._has_root = True
        if tag == "testsuite":
            self._suites.append(values.get("name", ""))
        elif tag == "testcase":
            self._case = self._begun(values)
        elif tag in _BAD_ENDS and self._case:
            self._break(_BAD_ENDS[tag], values)

    def _begun(self, values: dict[str, str]) -> TestCase:
        return TestCase(
            suite=self._suites[-1] if self._suites else "",
            group=values.get("classname", ""),
            name=values.get("name", ""),
            seconds=_seconds(values.get("time", "")),
        )

    def _break(self, outcome: Outcome, values: dict[str, str]) -> None:
        assert self._case
        # A test may fail and then break in its tear-down; the first is what people look for.
        if self._case.outcome == "passed":
            said = values.get("message") or values.get("type", "")
            self._case = replace(self._case, outcome=outcome, message=said)
            self._text = []

    def characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def end(self, tag: str) -> None:
        if tag == "testsuite":
            self._suites.pop()
        elif tag in _BAD_ENDS and self._case and self._text is not None:
            self._case = replace(self._case, text="".join(self._text).strip("\n"))
            self._text = None
        elif tag == "testcase" and self._case:
            self.cases.append(self._case)
            self._case = None


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text.replace(",", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
