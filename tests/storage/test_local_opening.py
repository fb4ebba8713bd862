"""Opening a store: what is made, with which modes, and what is refused with which sentence."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import StorageUnavailable, UnusableStore
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.opening import make_place_for_index, open_store
from tests.backends import local_backend, staged_on_disk
from tests.examples import identity, keep_upload, stage
from tests.faults import FaultyDisk
from tests.processes import in_child, umask

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has files of two users")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user may pass, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path


def refusal(root: Path) -> str:
    """The sentence with which a store is refused, without its path."""
    with pytest.raises(UnusableStore) as raised:
        open_store(Layout(root), Disk())
    sentence = str(raised.value)
    assert sentence.startswith(("ARCHIVE_DIR ", "The blobs in ARCHIVE_DIR "))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence.replace(str(root), "DIR")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


class TestMaking:
    @pytest.mark.parametrize("mask", [0, 0o022, 0o077, 0o777])
    @pytest.mark.parametrize("unnamed", [True, False], ids=["unnamed", "named"])
    def test_modes_do_not_depend_on_the_umask(
        self, layout: Layout, mask: int, unnamed: bool
    ) -> None:
        with umask(mask):
            backend = local_backend(layout.root, unnamed=unnamed)
            for number, content in enumerate([b"content", b""]):
                record = keep_upload(backend.stores, content, number=number)
                backend.stores.index.add(record, None)
            staged = stage(backend.stores.staging, b"on its way")
            modes = {path: mode(path) for path in layout.root.rglob("*")}
            staged.discard()
            backend.stores.index.close()
        for path, found in modes.items():
            is_private = path.is_relative_to(layout.private)
            if path.is_dir():
                assert (path, oct(found)) == (path, oct(0o700 if is_private else 0o755))
            elif path.exists() or not is_private:
                assert (path, oct(found)) == (path, oct(0o600 if is_private else 0o444))
        assert mode(layout.root) == 0o755

    def test_a_new_store_is_made_with_its_parents(self, tmp_path: Path) -> None:
        layout = Layout(tmp_path / "a" / "b" / "store")
        open_store(layout, Disk())
        assert layout.marker.read_text() == "1\n"
        assert sorted(path.name for path in layout.root.iterdir()) == [
            *("archive", "blob", "bucket-layout", "private", "replica"),
        ]
        assert staged_on_disk(layout) == []

    def test_a_store_may_be_opened_again(self, layout: Layout) -> None:
        local_backend(layout.root)
        backend = local_backend(layout.root)
        keep_upload(backend.stores, b"content")
        open_store(layout, Disk())
        assert len(list(backend.stores.records.ids())) == 1

    def test_a_store_whose_making_broke_off_is_completed(self, layout: Layout) -> None:
        local_backend(layout.root)
        layout.marker.unlink()
        shutil.rmtree(layout.replicas)
        open_store(layout, Disk())
        assert layout.marker.read_text() == "1\n"
        assert layout.replicas.is_dir()

    def test_a_fresh_file_system_with_lost_and_found_is_taken(self, layout: Layout) -> None:
        (layout.root / "lost+found").mkdir(parents=True)
        open_store(layout, Disk())
        assert layout.marker.exists()

    def test_a_symlink_to_a_directory_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "store").symlink_to("real")
        open_store(Layout(tmp_path / "store"), Disk())
        assert (tmp_path / "real" / "bucket-layout").exists()


class TestRefusing:
    @pytest.mark.parametrize("marker", ["2", "10", "", "one", "\xff"])
    def test_a_store_of_another_layout(self, layout: Layout, marker: str) -> None:
        local_backend(layout.root)
        layout.marker.unlink()
        layout.marker.write_bytes(marker.encode("latin-1"))
        sentence = refusal(layout.root)
        assert sentence.startswith("ARCHIVE_DIR DIR has layout ")
        assert "and this program knows layout 1; start the program that made it" in sentence

    def test_a_directory_of_others_which_stays_as_it_is(self, layout: Layout) -> None:
        layout.root.mkdir()
        (layout.root / "thesis.tex").write_text("…")
        assert refusal(layout.root) == (
            "ARCHIVE_DIR DIR holds other files (for example 'thesis.tex') and is no store; "
            "name an empty or a new directory."
        )
        assert [path.name for path in layout.root.iterdir()] == ["thesis.tex"]

    def test_a_file(self, layout: Layout) -> None:
        layout.root.write_text("a file")
        assert refusal(layout.root) == (
            "ARCHIVE_DIR DIR is not a directory; name a directory, or a path where none is."
        )

    def test_a_path_below_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("a file")
        assert "is not a directory" in refusal(tmp_path / "file" / "store")

    def test_a_symlink_to_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "store").symlink_to(tmp_path / "gone")
        assert "ARCHIVE_DIR DIR" in refusal(tmp_path / "store")

    def test_a_name_that_no_file_system_takes(self, tmp_path: Path) -> None:
        assert refusal(tmp_path / ("x" * 300)) == (
            "ARCHIVE_DIR DIR cannot be used: File name too long; name another directory."
        )

    @needs_root
    def test_a_directory_that_this_user_cannot_write(self, open_directory: Path) -> None:
        assert in_child(lambda: refusal(open_directory), user=NOBODY) == (
            "ARCHIVE_DIR DIR cannot be written by user 65534; "
            "give it to this user with chown, or name another directory."
        )

    @needs_root
    def test_a_directory_that_this_user_cannot_even_pass(self, open_directory: Path) -> None:
        (open_directory / "closed").mkdir(mode=0o700)
        sentence = in_child(lambda: refusal(open_directory / "closed" / "store"), user=NOBODY)
        assert "cannot be written by user 65534" in sentence

    @needs_root
    def test_a_store_of_another_user(self, open_directory: Path) -> None:
        local_backend(open_directory / "store")
        sentence = in_child(lambda: refusal(open_directory / "store"), user=NOBODY)
        assert "cannot be written by user 65534" in sentence

    @needs_root
    @pytest.mark.skipif(
        Path("/proc/sys/fs/protected_hardlinks").read_text().strip() != "1",
        reason="fs.protected_hardlinks is off",
    )
    def test_blobs_of_another_user_that_cannot_be_linked(self, open_directory: Path) -> None:
        root = open_directory / "store"
        keep_upload(local_backend(root).stores, b"content")
        for directory in (root, *filter(Path.is_dir, root.rglob("*"))):
            os.chown(directory, NOBODY, NOBODY)
        assert in_child(lambda: refusal(root), user=NOBODY) == (
            "The blobs in ARCHIVE_DIR DIR belong to user 0 and cannot be linked by user 65534 "
            "(fs.protected_hardlinks); start the server as user 0, or give the store to this user "
            "with chown -R."
        )
        assert staged_on_disk(Layout(root)) == []


class TestTroubleThatPasses:
    """A store that is there is served for reading, whatever keeps it from being written."""

    @pytest.mark.parametrize(
        "error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE], ids=errno.errorcode.get
    )
    def test_a_store_that_takes_nothing_for_now_is_opened(
        self, layout: Layout, caplog: pytest.LogCaptureFixture, error: int
    ) -> None:
        local_backend(layout.root)
        disk = FaultyDisk()
        disk.fail_from_now_on(error)
        open_store(layout, disk)
        (line,) = caplog.messages
        assert line.endswith(f"takes no uploads for now: {os.strerror(error).lower()}.")
        assert staged_on_disk(layout) == []

    def test_no_new_store_is_made_there(self, layout: Layout) -> None:
        disk = FaultyDisk()
        disk.fail_from_now_on(errno.ENOSPC)
        with pytest.raises(UnusableStore, match="No space left on device"):
            open_store(layout, disk)

    def test_a_store_that_lost_a_directory_is_not_opened(self, layout: Layout) -> None:
        local_backend(layout.root)
        layout.replicas.rmdir()
        disk = FaultyDisk()
        disk.fail_from_now_on(errno.EROFS)
        with pytest.raises(UnusableStore, match="read-only file system"):
            open_store(layout, disk)

    @pytest.mark.parametrize("error", [errno.EINVAL, errno.EIO], ids=errno.errorcode.get)
    @pytest.mark.parametrize("call", ["sync_file", "sync_directory", "sync_everything"])
    def test_a_store_in_which_nothing_can_be_synced_is_refused(
        self, layout: Layout, error: int, call: str
    ) -> None:
        local_backend(layout.root)
        disk = _CannotSync(call, error)
        with pytest.raises(UnusableStore) as raised:
            open_store(layout, disk)
        assert "ARCHIVE_DIR" in str(raised.value)
        assert staged_on_disk(layout) == []

    def test_without_syncing_nobody_asks_for_it(self, layout: Layout) -> None:
        disk = FaultyDisk(fsync=False)
        open_store(layout, disk)


class _CannotSync(Disk):
    """Fails one way of syncing below staging."""

    def __init__(self, call: str, error: int) -> None:
        super().__init__()
        self._call = call
        self._error = error

    def sync_file(self, descriptor: int) -> None:
        self._fail("sync_file")

    def sync_directory(self, path: Path | str) -> None:
        if Path(path).parent.name == "staging":
            self._fail("sync_directory")

    def sync_everything(self, path: Path) -> None:
        self._fail("sync_everything")

    def _fail(self, call: str) -> None:
        if call == self._call:
            raise OSError(self._error, os.strerror(self._error))


class TestPlaceForTheIndex:
    def test_it_is_made_with_its_parents(self, tmp_path: Path) -> None:
        make_place_for_index(tmp_path / "a" / "b" / "index.sqlite3")
        assert mode(tmp_path / "a" / "b") == 0o700

    @pytest.mark.parametrize("below", ["file/index.sqlite3", "."])
    def test_where_none_can_be_the_start_says_so(self, tmp_path: Path, below: str) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(
            UnusableStore, match=r"INDEX_PATH .* cannot be made \(.*\); name a file"
        ):
            make_place_for_index(tmp_path / below)


@needs_root
def test_what_cannot_be_read_is_unavailable_not_unknown(open_directory: Path) -> None:
    layout = Layout(open_directory / "store")
    blobs = local_backend(layout.root).stores.blobs
    keep_upload(local_backend(layout.root).stores, b"content")
    layout.blobs.chmod(0o700)
    for ask in (blobs.size, blobs.is_named, blobs.open):
        assert in_child(partial(outcome, ask), user=NOBODY) == (
            "The store cannot be used now: permission denied."
        )


def outcome(ask: Callable[[Digest], object]) -> str:
    try:
        return f"answered {ask(identity(b'content'))}"
    except StorageUnavailable as error:
        return str(error)
