"""JUnit's XML as a list of test results."""

from __future__ import annotations

import pytest

from httpbucket.content.junit import NotJunit, TestCase, read_report

REPORT = b"""<?xml version="1.0" encoding="iso-8859-1"?>
<testsuites><testsuite name="one">
<properties><property name="x" value="y"/></properties>
<testcase classname="a.b" name="passes" time="0.5"/>
<testcase name="skips"><skipped message="no nginx"/></testcase>
<testcase name="breaks" time="nan"><error type="OSError">caf\xe9</error><system-out>out</system-out>
</testcase>
<testsuite name="two"><testcase name="fails" time="1,234.5"><failure message="1 &lt; 2">
E  assert <![CDATA[<b>]]>
</failure><error>later</error></testcase></testsuite>
</testsuite></testsuites>"""

LAUGHS = b"""<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;">]>
<testsuite><testcase name="&lol2;"/></testsuite>"""


def test_failures_come_first_and_the_rest_stays_in_its_order() -> None:
    assert list(read_report(REPORT).cases) == [
        TestCase("two", "", "fails", "failed", 1234.5, "1 < 2", "E  assert <b>"),
        TestCase("one", "", "breaks", "error", None, "OSError", "café"),
        TestCase("one", "", "skips", "skipped", None, "no nginx"),
        TestCase("one", "a.b", "passes", "passed", 0.5),
    ]


def test_outcomes_are_counted() -> None:
    counts = read_report(REPORT).counts
    assert counts == {"failed": 1, "error": 1, "skipped": 1, "passed": 1}
    assert read_report(b"<testsuites/>").counts == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><testcase name='x'/></html>",
        b"<testsuite>",
        b"<testsuite></testsuites>",
        b"<!DOCTYPE testsuite><testsuite/>",
        b'<!DOCTYPE testsuite SYSTEM "file:///etc/passwd"><testsuite/>',
        LAUGHS,
        b'<?xml version="1.0" encoding="nothing"?><testsuite/>',
        b"<testsuite>&lol;</testsuite>",
        b"\xff\xfe\x00",
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(NotJunit):
        read_report(content)


def test_depth_is_no_matter() -> None:
    content = b"<testsuite>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</testsuite>"
    assert read_report(content).cases == []
