"""A tar is made while it is sent, and is what ordinary readers expect."""

import tarfile
from io import BytesIO

import pytest

from httpbucket.content.tar_stream import TarMember, tar_pieces


def test_the_tar_holds_the_members() -> None:
    long_name = "top/" + "é" * 150 + "/x.txt"
    members = [
        TarMember("top/a.txt", 5, 1_700_000_000, lambda: BytesIO(b"hello")),
        TarMember(long_name, 512, 0, lambda: BytesIO(b"x" * 512), executable=True),
        TarMember("top/empty/", 0, 0),
    ]
    content = b"".join(tar_pieces(members))
    with tarfile.open(fileobj=BytesIO(content)) as file:
        first, second, third = file.getmembers()
        assert [first.name, second.name, third.name] == ["top/a.txt", long_name, "top/empty"]
        assert [first.mode, second.mode, third.mode] == [0o644, 0o755, 0o755]
        assert (first.mtime, third.isdir()) == (1_700_000_000, True)
        reader = file.extractfile(first)
        assert reader and reader.read() == b"hello"


def test_readers_are_closed() -> None:
    reader = BytesIO(b"hello")
    list(tar_pieces([TarMember("a", 5, 0, lambda: reader)]))
    assert reader.closed


def test_a_file_that_is_too_short_breaks_the_tar_off() -> None:
    with pytest.raises(EOFError):
        list(tar_pieces([TarMember("a", 6, 0, lambda: BytesIO(b"hello"))]))
