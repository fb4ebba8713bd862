"""A manifest is read line by line, and reads back as what was written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import sha256
from httpbucket.domain.manifest import (
    ManifestEntry,
    ManifestHeader,
    beginning_of_line,
    manifest_lines,
    read_manifest,
)
from httpbucket.domain.upload import Finding

BLOB = Descriptor({"md5": "b" * 32, "sha256": "a" * 64}, 5120, 7, "text/html")
HEADER = ManifestHeader(
    source=sha256("c" * 64),
    unpacker="1",
    limits={"members": 100000},
    findings=(Finding("left-out", "The member '\udcff' is a device."),),
)
ANY_TEXT = st.text(st.characters(exclude_categories=[]))
ENTRIES = st.builds(
    ManifestEntry,
    path=ANY_TEXT,
    blob=st.just(BLOB),
    executable=st.booleans(),
    mtime=st.floats(-1, 2**40),
) | st.builds(ManifestEntry, path=ANY_TEXT, blob=st.none(), mtime=st.floats(-1, 2**40))


@given(st.lists(ENTRIES, max_size=5))
def test_a_manifest_reads_back_as_it_was_written(entries: list[ManifestEntry]) -> None:
    lines = [*manifest_lines(HEADER, entries)]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert all(line.decode("utf-8") for line in lines)
    header, read = read_manifest(lines)
    assert (header, [*read]) == (HEADER, entries)


def test_entries_are_read_only_as_they_are_asked_for() -> None:
    _, entries = read_manifest([HEADER.to_line(), b"not an entry"])
    with pytest.raises(ValueError, match="Expecting value"):
        next(entries)


def test_a_newer_manifest_is_refused() -> None:
    with pytest.raises(ValueError, match="newer than this program"):
        read_manifest([HEADER.to_line().replace(b'"format":1', b'"format":2')])


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", b"{}", b"null", b"\xff", HEADER.to_line().replace(b"sha256:c", b"sha256:z")],
)
def test_what_is_no_header_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_manifest([line])


@pytest.mark.parametrize(
    "change",
    [{"mtime": None}, {"digests": {}}, {"digests": {"sha256": "x"}}, {"digests": 1}, {"size": []}],
)
def test_what_is_no_entry_is_refused(change: dict[str, object]) -> None:
    value = json.loads(ManifestEntry("x", BLOB).to_line()) | change
    with pytest.raises(ValueError, match="not a manifest's entry"):
        ManifestEntry.from_line(json.dumps(value).encode())


@given(ANY_TEXT, st.booleans(), st.floats(-1, 2**40))
def test_a_line_is_what_json_would_write(path: str, executable: bool, mtime: float) -> None:
    entry = ManifestEntry(path, BLOB, executable=executable, mtime=mtime)
    value = {"path": path, "executable": executable, "mtime": mtime} | BLOB.to_json()
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert entry.to_line() == text.encode(errors="backslashreplace") + b"\n"
    assert entry.to_line().startswith(beginning_of_line(path))
