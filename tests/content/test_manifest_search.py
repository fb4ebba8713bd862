"""A member is found in a manifest without reading all of it."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.content.manifest_search import ManifestSearch
from httpbucket.domain.digest import sha256
from httpbucket.domain.manifest import ManifestEntry, ManifestHeader, manifest_lines

PATHS = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=40)


class CountingReader(BytesIO):
    """A manifest that counts its reads."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads = 0

    def readline(self, size: int | None = -1) -> bytes:
        self.reads += 1
        return super().readline(size)


def manifest(*paths: str) -> CountingReader:
    header = ManifestHeader(source=sha256("0" * 64), unpacker="1")
    entries = [ManifestEntry(path, None, mtime=1.0) for path in sorted(paths)]
    return CountingReader(b"".join(manifest_lines(header, entries)))


@given(st.sets(PATHS, max_size=40), PATHS)
def test_what_is_there_is_found_and_nothing_else(paths: set[str], other: str) -> None:
    search = ManifestSearch(manifest(*paths))
    for path in [*paths, *sorted(paths)]:
        assert search.find(path) == ManifestEntry(path, None, mtime=1.0)
    assert (search.find(other) is not None) == (other in paths)


def test_members_in_order_cost_one_read_each_and_others_a_few() -> None:
    paths = [f"report/{number:06}.html" for number in range(5000)]
    reader = manifest(*paths)
    search = ManifestSearch(reader)
    for path in paths:
        assert search.find(path)
    assert reader.reads == 1 + len(paths)
    assert search.find(paths[17])
    assert reader.reads < 1 + len(paths) + 20


def test_a_line_longer_than_what_is_read_at_a_time_is_found() -> None:
    paths = [letter * 5000 for letter in "abcdefgh"]
    search = ManifestSearch(manifest(*paths))
    for path in reversed(paths):
        assert search.find(path)


@pytest.mark.parametrize("line", [b"{half an ent\n", b"[]\n", b"{}\n", b"\xff\n"])
def test_a_damaged_line_is_told(line: bytes) -> None:
    search = ManifestSearch(BytesIO(b"{}\n" + line))
    with pytest.raises(ValueError, match=r"."):
        search.find("a")


def test_closing_closes_the_manifest() -> None:
    reader = manifest("a")
    ManifestSearch(reader).close()
    assert reader.closed
