"""Further names for blobs: full inodes, empty files, trees, and what lies in the way of them."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from httpbucket.domain.manifest import ManifestEntry
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.links import Linker, opened_directory
from httpbucket.storage.local.staging import LocalStaging
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import descriptor, identity, keep

CONTENT = b"a content of many names"


class CrampedDisk(Disk):
    """A file system whose inodes take few names, or whose links fail with another error."""

    def __init__(self, most_names: int, error: int = errno.EMLINK) -> None:
        super().__init__(fsync=False)
        self._most_names = most_names
        self._error = error
        self.refusals = 0

    def link(self, source: Path | str, target: Path | str, *, directory: int | None = None) -> None:
        if Path(source).stat().st_nlink >= self._most_names:
            self.refusals += 1
            raise OSError(self._error, os.strerror(self._error))
        super().link(source, target, directory=directory)


class Bench:
    """A linker of a store of its own, and a directory to name blobs in."""

    def __init__(self, root: Path, disk: Disk) -> None:
        self.layout = Layout(root / "store")
        self.stores: Stores = local_backend(self.layout.root, disk=disk).stores
        self.linker = Linker(self.layout, disk, LocalStaging(self.layout, disk))
        self.directory = root / "names"
        self.directory.mkdir()

    def name(self, content: bytes, *names: str) -> None:
        with opened_directory(self.directory) as directory:
            for name in names:
                self.linker.name(descriptor(content), name, directory=directory)

    def name_tree(self, entries: Sequence[ManifestEntry]) -> None:
        with opened_directory(self.directory) as directory:
            self.linker.name_tree(entries, directory=directory)

    def inodes(self, *names: str) -> list[int]:
        return [(self.directory / name).stat().st_ino for name in names]

    def siblings(self, content: bytes) -> list[str]:
        path = self.layout.blob(identity(content))
        return sorted(other.name.removeprefix(path.name) for other in path.parent.iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, Disk(fsync=False))
    yield bench
    bench.stores.index.close()


@pytest.mark.parametrize("error", [errno.EMLINK, errno.EPERM, errno.EXDEV], ids=errno.errorcode.get)
def test_a_full_inode_gets_siblings(tmp_path: Path, error: int) -> None:
    bench = Bench(tmp_path, CrampedDisk(5, error))
    keep(bench.stores, CONTENT)
    names = [str(number) for number in range(14)]
    bench.name(CONTENT, *names)
    assert {(bench.directory / name).read_bytes() for name in names} == {CONTENT}
    # One of the five names of each is that in the store of blobs.
    assert sorted(Counter(bench.inodes(*names)).values()) == [2, 4, 4, 4]
    assert bench.siblings(CONTENT) == ["", "~1", "~2", "~3"]
    modes = {stat.S_IMODE((bench.directory / name).stat().st_mode) for name in names}
    assert modes == {0o444}
    assert [*bench.stores.blobs.digests()].count(identity(CONTENT)) == 1
    bench.stores.index.close()


def test_another_error_makes_no_sibling(tmp_path: Path) -> None:
    bench = Bench(tmp_path, CrampedDisk(2, errno.EIO))
    keep(bench.stores, CONTENT)
    with pytest.raises(OSError, match="Input/output error"):
        bench.name(CONTENT, "x", "y")
    assert bench.siblings(CONTENT) == [""]
    bench.stores.index.close()


def test_this_file_systems_own_limit_is_passed(bench: Bench, tmp_path: Path) -> None:
    most_names = os.pathconf(tmp_path, "PC_LINK_MAX")
    if most_names > 70_000:
        pytest.skip(f"missing ability: an inode here takes {most_names} names")
    keep(bench.stores, CONTENT)
    blob = str(bench.layout.blob(identity(CONTENT)))
    full = tmp_path / "full"
    full.mkdir()
    for number in range(most_names - 1):
        os.link(blob, f"{full}/{number}")
    with pytest.raises(OSError) as refusal:
        os.link(blob, full / "one more")
    assert refusal.value.errno == errno.EMLINK
    bench.name(CONTENT, "a", "b")
    assert (bench.directory / "a").read_bytes() == CONTENT
    assert bench.siblings(CONTENT) == ["", "~1"]
    (inode,) = {*bench.inodes("a", "b")}
    assert inode != Path(blob).stat().st_ino


def test_a_name_that_is_taken_is_told(bench: Bench) -> None:
    keep(bench.stores, CONTENT)
    bench.name(CONTENT, "x")
    with pytest.raises(FileExistsError):
        bench.name(CONTENT, "x")


def test_empty_files_are_made_and_never_linked(bench: Bench) -> None:
    names = [str(number) for number in range(5)]
    bench.name(b"", *names)
    assert len({*bench.inodes(*names)}) == 5
    for name in names:
        status = (bench.directory / name).stat()
        assert (status.st_size, status.st_nlink, stat.S_IMODE(status.st_mode)) == (0, 1, 0o444)


def entry(path: str, content: bytes | None = CONTENT) -> ManifestEntry:
    return ManifestEntry(path, None if content is None else descriptor(content))


def test_a_tree_is_made_whatever_the_order_of_its_entries(bench: Bench) -> None:
    keep(bench.stores, CONTENT)
    paths = ["z", "a/b/c/d", "a/b/e", "a/f", "a.b", "a/b/c/g", "ä/日本"]
    bench.name_tree([*map(entry, paths), entry("a/void", None), entry("void/void", None)])
    found = {
        str(path.relative_to(bench.directory)): path.is_dir()
        for path in bench.directory.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }
    assert found == dict.fromkeys(paths, False) | {"a/void": True, "void/void": True}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in bench.directory.rglob("*/")}
    assert modes == {0o755}


def test_a_tree_never_leads_through_a_symlink(bench: Bench, tmp_path: Path) -> None:
    keep(bench.stores, CONTENT)
    outside = tmp_path / "outside"
    outside.mkdir()
    (bench.directory / "door").symlink_to(outside)
    with pytest.raises(OSError, match=r"Not a directory|symbolic link"):
        bench.name_tree([entry("door/evil")])
    assert list(outside.iterdir()) == []


def test_a_deep_tree_leaves_no_descriptor_open(bench: Bench) -> None:
    keep(bench.stores, CONTENT)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    bench.name_tree([entry("/".join(["d"] * depth) + f"/{depth}") for depth in range(1, 60)])
    with pytest.raises(FileExistsError):
        bench.name_tree([entry("d/d/d/3")])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
