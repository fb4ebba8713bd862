"""Checksum files in runs: the same as entry by entry, for every text."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.checksum_file import MOST_LINE_BYTES, ChecksumEntry, read_checksum_file
from httpbucket.domain.checksum_runs import ChecksumRun, read_runs, runs_of
from httpbucket.domain.errors import MalformedChecksums

SHA256 = hashlib.sha256(b"one").hexdigest().encode()
MD5 = hashlib.md5(b"one").hexdigest().encode()

PLAIN = [b"%s  %d.xml\n" % (SHA256, number) for number in range(300)]


def cut(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


Columns = list[tuple[tuple[str, ...], bytes, bytes]]


def columns(runs: Iterable[ChecksumRun]) -> Columns:
    return [
        (run.algorithms, value, raw)
        for run in runs
        for value, raw in zip(run.values(), every_raw(run), strict=True)
    ]


def every_raw(run: ChecksumRun) -> list[bytes]:
    return run.raws_marked(b"\1" * run.total)


def entry_by_entry(entries: Iterable[ChecksumEntry]) -> Columns:
    return [(one.algorithms, one.value, one.raw) for one in entries]


def both(text: bytes, size: int, preferred: str = "md5") -> tuple[object, object]:
    """What either way reads or refuses."""

    def attempt(read: object) -> object:
        try:
            return read()  # type: ignore[operator]
        except MalformedChecksums as error:
            return str(error), error.detail

    return (
        attempt(lambda: columns(read_runs(cut(text, size), preferred=preferred))),
        attempt(lambda: entry_by_entry(read_checksum_file(cut(text, size), preferred=preferred))),
    )


LINES = st.sampled_from(
    [
        b"%s  a.xml" % SHA256,
        b"%s *a b.xml" % SHA256.upper(),
        b"%s   a" % SHA256,
        b"%s  a" % MD5,
        b"%s  caf\xe9\0\x0b" % SHA256,
        b"%s  a\rb" % SHA256,
        b"%s  a\r" % SHA256,
        b"%s  " % SHA256,
        b"%s a" % SHA256,
        b"%s" % SHA256,
        b"%s  %s" % (SHA256, b"x" * 300),
        b"\\%s  a\\nb" % SHA256,
        b"sha256:%s  a" % SHA256,
        b"SHA256 (a) = %s" % SHA256,
        b"# comment",
        b"",
        b"%s  a" % SHA256[1:],
        b"%s  a" % SHA256[2:],
        b"no digest",
    ]
)


@given(
    st.lists(st.one_of(st.just(b"%s  a.xml" % SHA256), LINES), max_size=12),
    st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\0"]),
    st.sampled_from([b"", b"", b"".join(PLAIN[:200])]),
    st.sampled_from([40, 5000, 10**6]),
    st.sampled_from(["md5", "sha256", "sha3_256"]),
)
def test_every_text_is_read_or_refused_as_it_is_entry_by_entry(
    lines: list[bytes], end: bytes, before: bytes, size: int, preferred: str
) -> None:
    # Where the last is empty, the one before has an end.
    text = before + end.join(lines)
    ours, theirs = both(text, size, preferred)
    assert ours == theirs


@pytest.mark.parametrize("length", [MOST_LINE_BYTES - 1, MOST_LINE_BYTES, MOST_LINE_BYTES + 1])
def test_lines_may_be_as_long_as_they_may_alone(length: int) -> None:
    long = SHA256 + b"  " + b"x" * (length - 66) + b"\n"
    text = b"".join(PLAIN) + long + PLAIN[0]
    ours, theirs = both(text, 10**6)
    assert ours == theirs


def test_lines_that_look_alike_are_one_run() -> None:
    [run] = read_runs([b"".join(PLAIN)], preferred="md5")
    digest = bytes.fromhex(SHA256.decode())
    assert run == ChecksumRun(("sha256",), 32, digest * 300, b"".join(PLAIN))
    assert (run.total, run.values(), every_raw(run)) == (300, [digest] * 300, PLAIN)


def test_a_new_run_begins_where_other_algorithms_are_meant() -> None:
    lines = [b"%s  a\n" % digest for digest in (MD5, SHA256, SHA256, MD5)]
    runs = list(read_runs([b"".join(lines)], preferred="md5"))
    assert [(run.algorithms, every_raw(run)) for run in runs] == [
        (("md5",), lines[:1]),
        (("sha256",), lines[1:3]),
        (("md5",), lines[3:]),
    ]


def test_nothing_is_no_run() -> None:
    assert list(read_runs([], preferred="md5")) == []
    assert list(runs_of([])) == []


def test_no_run_of_entries_holds_very_many_of_them() -> None:
    [entry] = read_checksum_file([PLAIN[0]], preferred="md5")
    totals = [run.total for run in runs_of(repeat(entry, 5000))]
    assert (sum(totals), max(totals) < 3000) == (5000, True)


@pytest.mark.parametrize("lengths", [None, array("I", [2, 2, 2, 2])])
def test_what_has_a_mark_is_taken_out(lengths: array[int] | None) -> None:
    run = ChecksumRun(("md5",), 1, b"abac", b"1\n2\n3\n4\n", lengths)
    assert run.raws_marked([0, 1, 0, 1]) == [b"2\n", b"4\n"]
    assert run.raws_marked(bytes(4)) == []
