"""JUnit's XML is recognised without libmagic, and nothing that libmagic calls something else."""

from __future__ import annotations

import random

import pytest

from httpbucket.content.junit_head import is_junit
from httpbucket.content.media_type import HEAD_BYTES, MediaTypes

# After it, which brings the library along.
import magic  # isort: skip

START = b'<?xml version="1.0" encoding="utf-8"?>\n'
REPORT = START + b'<testsuites><testsuite name="a"><testcase name="b"/></testsuite></testsuites>\n'

#: By what libmagic knows other texts, wherever these stand in them.
TEMPTING = (
    *("#!/bin/sh", "#include <stdio.h>", "-----BEGIN PGP MESSAGE-----", "From: me", "%PDF-1.4"),
    *("import java.util;", "def f(self):", "{\\rtf1", "diff --git a b", "\\documentclass"),
    *("<html>", "<!DOCTYPE html>", "<svg xmlns=", "<head>", "<script>", "<rss version=", "<kml"),
    *("Received: from", "class A {", "function f() {}", "BEGIN:VCARD", "WEBVTT", "GIF89a"),
    *("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", "urn:oasis:names", "/* XPM */"),
    *(
        "<![CDATA[",
        "]]>",
        "@echo off",
        "use strict;",
        "package main",
        "Newsgroups:",
        "\\input texinfo",
    ),
)


def text_of(chance: random.Random) -> str:
    words = ("".join(map(chr, chance.choices(range(32, 127), k=8))) for _ in range(4))
    return " ".join(chance.choice((word, chance.choice(TEMPTING))) for word in words)


def report_of(chance: random.Random) -> bytes:
    """A report, or what is a little different from one."""
    quote = chance.choice("\"'")
    encoding = chance.choice(("", ' encoding="utf-8"', ' encoding="UTF-8" standalone="yes"'))
    pieces = [f"<?xml version={quote}1.0{quote}{encoding}?>", chance.choice(("\n", "", "\r\n"))]
    root = chance.choice(("testsuite", "testsuites"))
    pieces.append(f"<{root} name='{text_of(chance)}'>")
    for _ in range(chance.randrange(20)):
        element = chance.choice(("testcase", "failure", "system-out", "property"))
        text = text_of(chance)
        safe = text.replace("<", "&lt;") if chance.random() < 0.9 else text
        pieces.append(f"<{element} a=''>{safe}</{element}>\n")
    whole = "".join([*pieces, f"</{root}>"]).encode()
    return whole if chance.random() < 0.7 else whole[: chance.randrange(1, len(whole))]


def test_libmagic_calls_all_of_them_xml_too() -> None:
    chance, asked, found = random.Random(8), magic.Magic(mime=True), 0
    for _ in range(1_000):
        head = report_of(chance)[:HEAD_BYTES]
        if is_junit(head, is_whole=True):
            found += 1
            assert asked.from_buffer(head) == "text/xml", head
    assert found > 300


@pytest.mark.parametrize(
    "other",
    [
        REPORT.replace(b"<testcase ", b"<svg "),
        REPORT.replace(b"<testcase ", b"<x:script "),
        REPORT.replace(b"<testcase ", b"<![CDATA[<html>]]><testcase "),
        REPORT.replace(b"<testsuites>", b"<!DOCTYPE html><testsuites>"),
        REPORT.replace(b"<testsuites>", b'<?xml-stylesheet href="a.xsl"?><testsuites>'),
        REPORT.replace(b'name="b"', b'name="\xc3\xa4"'),
        REPORT.replace(b'name="b"', b'name="\0"'),
        REPORT.replace(b"utf-8", b"utf-16\n"),
        REPORT.removeprefix(START),
        b"\n" + REPORT,
        REPORT + b"<html",
        b"",
    ],
)
def test_what_may_be_something_else_is_left_to_libmagic(other: bytes) -> None:
    assert not is_junit(other, is_whole=True)


def test_text_as_it_is_may_stand_in_a_report() -> None:
    failed = b"<testcase><failure><![CDATA[a > b]]></failure></testcase>"
    assert is_junit(REPORT.replace(b'<testcase name="b"/>', failed), is_whole=True)


@pytest.mark.parametrize("left", range(12))
def test_a_report_may_be_cut_anywhere(left: int) -> None:
    long = START + b"<testsuite>" + b"<testcase/>\n" * 2_000
    assert is_junit(long[: HEAD_BYTES - left], is_whole=False)
    assert MediaTypes().of(long) == "text/xml"
