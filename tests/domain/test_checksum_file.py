"""Checksum files in every form that tools print them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest

from httpbucket.domain.checksum_file import (
    MOST_LINE_BYTES,
    ChecksumEntry,
    read_checksum_file,
)
from httpbucket.domain.checksum_list import MOST_ELEMENT, read_checksum_list
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import MalformedChecksums

SHA256 = hashlib.sha256(b"one").hexdigest().encode()
MD5 = hashlib.md5(b"one").hexdigest().encode()
SHA512 = hashlib.sha512(b"one").hexdigest().encode()

Cut = Callable[[bytes], Iterator[bytes]]


def in_pieces(size: int) -> Cut:
    return lambda text: (text[start : start + size] for start in range(0, len(text), size))


IN_PIECES = in_pieces(64)


@pytest.fixture(params=[1, 7, 64, 10**6])
def cut(request: pytest.FixtureRequest) -> Cut:
    return in_pieces(request.param)


def read(text: bytes, cut: Cut = IN_PIECES, *, preferred: str = "md5") -> list[ChecksumEntry]:
    return list(read_checksum_file(cut(text), preferred=preferred))


class TestLines:
    @pytest.mark.parametrize(
        ("line", "algorithm", "name"),
        [
            (SHA256 + b"  a.xml", "sha256", "a.xml"),
            (SHA256 + b" *a.xml", "sha256", "a.xml"),
            (SHA256.upper() + b"  a.xml", "sha256", "a.xml"),
            (MD5 + b"  dir/a b  c.xml", "md5", "dir/a b  c.xml"),
            (MD5 + b"    two blanks first", "md5", "  two blanks first"),
            (MD5 + b"  *", "md5", "*"),
            (SHA512 + b"  -", "sha512", "-"),
            (MD5 + b"  r\\n is no escape here", "md5", "r\\n is no escape here"),
            (b"\\" + MD5 + b"  a\\nb\\\\n\\r", "md5", "a\nb\\n\r"),
            (MD5 + "  日本語".encode(), "md5", "日本語"),
            (MD5 + b"  caf\xe9", "md5", "caf\udce9"),
            (b"SHA256 (a (1).xml) = " + SHA256, "sha256", "a (1).xml"),
            (b"SHA256(a.xml)= " + SHA256, "sha256", "a.xml"),
            (b"\\SHA256 (a\\nb) = " + SHA256, "sha256", "a\nb"),
            (b"SHA3-256 (a.xml) = " + SHA256, "sha3-256", "a.xml"),
            (SHA256, "sha256", ""),
            (b"sha256:" + SHA256, "sha256", ""),
            (b"SHA-256:" + SHA256 + b"  a.xml", "sha256", "a.xml"),
        ],
    )
    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
    def test_every_form_is_read_and_kept_as_it_came(
        self, cut: Cut, line: bytes, algorithm: str, name: str, end: bytes
    ) -> None:
        [entry] = read(line + end, cut)
        expected = Digest.parse(f"{algorithm}:{entry.value.hex()}")
        assert (entry.question, entry.name, entry.raw) == ((expected,), name, line + end)

    def test_bare_hex_means_the_preferred_algorithm_first(self) -> None:
        [entry] = read(SHA256 + b"  a\n", preferred="sha3_256")
        assert entry.algorithms == ("sha3_256", "sha256")

    def test_lines_that_say_nothing_are_passed_over(self, cut: Cut) -> None:
        text = b"\n# of today\n" + MD5 + b"  a\n\r\n\n" + MD5 + b"  b"
        assert [entry.name for entry in read(text, cut)] == ["a", "b"]

    def test_lines_end_with_nul_where_the_first_does(self, cut: Cut) -> None:
        lines = [MD5 + b"  a\nb\0", MD5 + b"  c\\n\r\0"]
        entries = read(b"".join(lines), cut)
        assert [entry.raw for entry in entries] == lines
        assert [entry.name for entry in entries] == ["a\nb", "c\\n\r"]

    def test_a_long_text_is_read_line_by_line(self, cut: Cut) -> None:
        lines = [b"%s  file %d\n" % (MD5, number) for number in range(2000)]
        assert [entry.raw for entry in read(b"".join(lines), cut)] == lines

    def test_nothing_holds_nothing(self) -> None:
        assert read(b"") == []
        assert read(b"\n") == []


class TestMistakes:
    @pytest.mark.parametrize(
        "line",
        [
            b"<html>",
            b"sha256sum: a.xml: No such file or directory",
            MD5[1:] + b"  a",
            MD5[2:] + b"  a",
            MD5 + b" a",
            MD5 + b"\ta",
            MD5 + b"  ",
            b"sha256:" + MD5,
            b"nosuch:" + MD5,
            b"SHA256 (a) = " + MD5,
            b"--boundary",
            MD5 + b"  " + b"x" * MOST_LINE_BYTES,
            "٠".encode() * 16 + b"  a",
        ],
    )
    def test_a_line_that_is_none_is_told_with_its_number(self, cut: Cut, line: bytes) -> None:
        with pytest.raises(MalformedChecksums) as raised:
            read(MD5 + b"  a\n" + line + b"\n" + MD5 + b"  b\n", cut)
        assert raised.value.detail == {"line": 2}
        assert str(raised.value).startswith("Line 2 ")
        assert len(str(raised.value)) < 300

    def test_lines_whose_ends_were_taken_out_are_no_single_line(self) -> None:
        text = b"".join(b"%s  %d.xml" % (SHA256, number) for number in range(3))
        with pytest.raises(MalformedChecksums, match="--data-binary"):
            read(text)

    def test_an_escape_that_means_nothing_is_told(self) -> None:
        [entry] = read(b"\\" + MD5 + b"  a\\tb\n")
        with pytest.raises(MalformedChecksums):
            _ = entry.name

    def test_text_without_lines_is_not_read_to_its_end(self) -> None:
        taken = []

        def endless() -> Iterator[bytes]:
            while True:
                taken.append(1)
                yield b"0" * 1000

        with pytest.raises(MalformedChecksums):
            list(read_checksum_file(endless(), preferred="md5"))
        assert len(taken) < 20


def listed(text: bytes, cut: Cut = IN_PIECES) -> list[ChecksumEntry]:
    return list(read_checksum_list(cut(text), preferred="md5"))


class TestLists:
    def test_elements_are_digests_or_objects_and_kept_as_they_came(self, cut: Cut) -> None:
        elements = [
            b'"%s"' % MD5,
            b'"SHA256:%s"' % SHA256.upper(),
            b'{ "checksum": "%s", "filename": "a\\u00e9\\udce9.xml", "size": [1] }' % MD5,
            b'{"checksum":"md5:%s"}' % MD5,
        ]
        entries = listed(b" [\n" + b" ,\n ".join(elements) + b" ]\n", cut)
        assert [entry.raw for entry in entries] == elements
        assert [entry.algorithms for entry in entries] == [
            ("md5",),
            ("sha256",),
            ("md5",),
            ("md5",),
        ]
        assert [entry.name for entry in entries] == ["", "", "aé\udce9.xml", ""]

    def test_a_long_list_is_read_element_by_element(self, cut: Cut) -> None:
        elements = [b'{"checksum":"%s","filename":"%d"}' % (MD5, number) for number in range(2000)]
        assert [entry.raw for entry in listed(b"[" + b",".join(elements) + b"]", cut)] == elements

    @pytest.mark.parametrize("text", [b"[]", b" [ ] "])
    def test_an_empty_list_holds_nothing(self, cut: Cut, text: bytes) -> None:
        assert listed(text, cut) == []

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"{}",
            b'"%s"' % MD5,
            b'["%s"' % MD5,
            b'["%s",]' % MD5,
            b'["%s"]]' % MD5,
            b'["%s" "%s"]' % (MD5, MD5),
            b"[1]",
            b"[null]",
            b'["\xff"]',
            b'["%s"' % (b"0" * MOST_ELEMENT) + b"0" * MOST_ELEMENT + b"]",
            b"[" * 5000,
            b'[{"checksum": 1}]',
            b'[{"checksum": "x"}]',
            b'[{"filename": "x"}]',
            b'[{"checksum": "%s", "filename": 1}]' % MD5,
            b'[{"checksum": "%s", "filename": "\\ud800"}]' % MD5,
            b'["%s"]' % MD5[1:],
            b'["sha256:%s"]' % MD5,
            b'["\xd9\xa0%s"]' % MD5,
        ],
    )
    def test_what_is_no_list_of_digests_is_told(self, cut: Cut, text: bytes) -> None:
        with pytest.raises(MalformedChecksums) as raised:
            listed(text, cut)
        assert len(str(raised.value)) < 300
