"""Replicas on disk: what they are made of, where they cannot lie, and inodes that are full."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpbucket.domain.errors import StorageUnavailable, UnusableStore
from httpbucket.domain.upload import Record
from httpbucket.storage.local.disk import Disk
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores
from tests.backends import local_backend
from tests.examples import file_of, identity, keep
from tests.processes import in_child
from tests.replica_checks import replica_faults
from tests.storage.replica_uploads import (
    BOB,
    EVE,
    compressed_upload,
    entries,
    file_upload,
    held,
    name_of,
    publish,
    tree_upload,
)

NOBODY = 65534
CONTENT = b"the same for all"


@pytest.fixture
def open_layout() -> Iterator[Layout]:
    """A store that other users can come to, which pytest's own directories are not for."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Layout(Path(directory) / "store")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


class CrampedDisk(Disk):
    """A file system whose inodes take few names, as some network file systems have them."""

    most_names = 4

    def link(self, source: Path | str, target: Path | str, *, directory: int | None = None) -> None:
        if Path(source).stat().st_nlink >= self.most_names:
            raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
        super().link(source, target, directory=directory)


class ApartDisk(Disk):
    """A disk on which nothing can be linked into a directory that is given by its descriptor."""

    def __init__(self, error: int) -> None:
        super().__init__()
        self.error = error

    def link(self, source: Path | str, target: Path | str, *, directory: int | None = None) -> None:
        if self.error and directory is not None and "replica" in path_of(directory).parts:
            raise OSError(self.error, os.strerror(self.error))
        super().link(source, target, directory=directory)


def path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


class TestNames:
    def test_a_file_is_a_name_of_the_blob_itself(self, layout: Layout, local: Stores) -> None:
        record = publish(local, file_upload(local))
        path = layout.root / record.replicas[0].path
        assert path.samefile(layout.blob(file_of(record).blob.sha256))
        assert mode(path) == 0o444

    def test_what_was_inside_a_compressed_file_is_a_name_of_its_blob(
        self, layout: Layout, local: Stores
    ) -> None:
        record = publish(local, compressed_upload(local))
        assert record.decompressed is not None
        path = layout.root / record.replicas[1].path
        assert path.samefile(layout.blob(record.decompressed.blob.sha256))
        assert path.read_bytes() == b"decompressed 0"

    def test_a_tree_is_directories_with_names_of_blobs(self, layout: Layout, local: Stores) -> None:
        record = publish(local, tree_upload(local))
        tree = layout.root / record.replicas[0].path
        assert (tree / "report/index.html").samefile(layout.blob(identity(b"<h1>")))
        assert (tree / "empty.txt").read_bytes() == b""
        assert list((tree / "hollow").iterdir()) == []
        assert not tree.is_symlink()
        assert replica_faults(layout.root) == []

    @pytest.mark.parametrize("umask", [0o000, 0o077])
    def test_everything_can_be_read_by_all_and_written_by_none(
        self, layout: Layout, umask: int
    ) -> None:
        def publish_all() -> None:
            os.umask(umask)
            stores = local_backend(layout.root).stores
            publish(stores, file_upload(stores, 0))
            publish(stores, tree_upload(stores, 1))

        in_child(publish_all)
        paths = [path for path in (layout.root / "replica").rglob("*") if not path.is_symlink()]
        assert {mode(path) for path in paths if path.is_file()} == {0o444}
        assert {mode(path) for path in paths if path.is_dir()} == {0o755}

    def test_latest_is_a_link_to_the_name_beside_it(self, layout: Layout, local: Stores) -> None:
        publish(local, file_upload(local, 0))
        publish(local, file_upload(local, 1))
        assert (layout.root / BOB / "results.latest.xml").readlink() == Path(name_of(1))

    def test_a_directory_that_an_operator_removed_is_made_again(
        self, layout: Layout, local: Stores
    ) -> None:
        first = publish(local, file_upload(local, 0, directories=[f"{BOB}/demo"]))
        (layout.root / first.replicas[0].path).unlink()
        (layout.root / BOB / "demo" / "results.latest.xml").unlink()
        (layout.root / BOB / "demo").rmdir()
        (layout.root / BOB).rmdir()
        publish(local, file_upload(local, 1, directories=[f"{BOB}/demo"]))
        assert entries(local, f"{BOB}/demo") == [name_of(1), "results.latest.xml"]


class TestPlaces:
    @pytest.mark.parametrize("at", ["replica/user", "replica/user/bob"])
    def test_a_symlink_among_the_parents_is_refused_and_not_followed(
        self, layout: Layout, local: Stores, tmp_path: Path, at: str
    ) -> None:
        outside = tmp_path / "outside"
        (outside / "bob").mkdir(parents=True)
        (layout.root / at).parent.mkdir(parents=True, exist_ok=True)
        (layout.root / at).symlink_to(outside)
        for make in (file_upload, tree_upload):
            with pytest.raises(StorageUnavailable):
                publish_if_entries(local, make(local))
        assert [path for path in outside.rglob("*") if path.name != "bob"] == []

    def test_an_upload_whose_directory_is_a_symlink_is_not_recorded(
        self, layout: Layout, local: Stores
    ) -> None:
        (layout.root / BOB).parent.mkdir(parents=True)
        (layout.root / BOB).symlink_to("/")
        with pytest.raises(StorageUnavailable):
            publish_if_entries(local, file_upload(local))
        assert list(local.records.ids()) == []
        assert list(layout.redo.iterdir()) == []

    def test_a_file_where_a_directory_should_be_is_refused(
        self, layout: Layout, local: Stores
    ) -> None:
        (layout.root / BOB).parent.mkdir(parents=True)
        (layout.root / BOB).write_text("in the way")
        with pytest.raises(StorageUnavailable):
            publish_if_entries(local, file_upload(local))
        assert list(local.records.ids()) == []

    def test_a_latest_that_an_operator_made_a_directory_is_told_and_made_up_for(
        self, layout: Layout, local: Stores
    ) -> None:
        (layout.root / BOB / "results.latest.xml").mkdir(parents=True)
        with pytest.raises(StorageUnavailable):
            publish(local, file_upload(local, 0))
        (layout.root / BOB / "results.latest.xml").rmdir()
        publish(local, file_upload(local, 1))
        assert replica_faults(layout.root) == []

    def test_a_tree_does_not_take_the_place_of_an_empty_directory(
        self, layout: Layout, local: Stores
    ) -> None:
        """Renaming a directory onto an empty one would succeed silently."""
        record = tree_upload(local)
        (layout.root / record.replicas[0].path).mkdir(parents=True)
        inode = (layout.root / record.replicas[0].path).stat().st_ino
        publish(local, record)
        assert (layout.root / record.replicas[0].path).stat().st_ino == inode

    @pytest.mark.skipif(os.geteuid() != 0, reason="missing ability: becoming another user")
    def test_a_directory_that_cannot_be_written_is_refused_before_anything_is_recorded(
        self, open_layout: Layout
    ) -> None:
        layout = open_layout
        layout.root.mkdir()
        os.chown(layout.root, NOBODY, NOBODY)

        def refused() -> int:
            stores = local_backend(layout.root).stores
            publish(stores, file_upload(stores, 0))
            (layout.root / BOB).chmod(0o555)
            with pytest.raises(StorageUnavailable):
                publish_if_entries(stores, file_upload(stores, 1))
            return len(list(stores.records.ids()))

        assert in_child(refused, user=NOBODY) == 1


class TestFullInodes:
    def test_a_blob_that_takes_no_more_names_gets_siblings(self, layout: Layout) -> None:
        stores = local_backend(layout.root, disk=CrampedDisk()).stores
        for number in range(10):
            publish(stores, file_upload(stores, number, content=CONTENT))
        blob = layout.blob(identity(CONTENT))
        siblings = [f"{blob.name}~{number}" for number in range(1, 7)]
        assert sorted(path.name for path in blob.parent.iterdir()) == [blob.name, *siblings]
        for path in blob.parent.iterdir():
            assert path.read_bytes() == CONTENT
            assert mode(path) == 0o444
            assert path.stat().st_nlink <= CrampedDisk.most_names
        assert replica_faults(layout.root) == []

    def test_siblings_are_not_counted_as_blobs(self, layout: Layout) -> None:
        stores = local_backend(layout.root, disk=CrampedDisk()).stores
        for number in range(5):
            publish(stores, file_upload(stores, number, content=CONTENT))
        assert [one for one in stores.blobs.digests() if one == identity(CONTENT)] == [
            identity(CONTENT)
        ]

    def test_trees_share_siblings_too(self, layout: Layout) -> None:
        stores = local_backend(layout.root, disk=CrampedDisk()).stores
        for number in range(5):
            publish(stores, tree_upload(stores, number, directories=[BOB, EVE]))
        assert replica_faults(layout.root) == []
        assert layout.blob(identity(b"<h1>")).with_name(f"{identity(b'<h1>').hex}~1").exists()

    def test_no_staged_file_is_left_by_copying(self, layout: Layout) -> None:
        backend = local_backend(layout.root, disk=CrampedDisk())
        for number in range(5):
            publish(backend.stores, file_upload(backend.stores, number, content=CONTENT))
        assert backend.staged() == []

    def test_an_inode_that_is_really_full_gets_a_sibling(self, layout: Layout) -> None:
        stores = local_backend(layout.root).stores
        keep(stores, CONTENT)
        blob = layout.blob(identity(CONTENT))
        fill(blob, layout.root / "names")
        publish(stores, file_upload(stores, 0, content=CONTENT))
        sibling = blob.with_name(f"{blob.name}~1")
        assert sibling.read_bytes() == CONTENT
        assert (layout.root / BOB / name_of(0)).samefile(sibling)
        assert replica_faults(layout.root) == []

    @pytest.mark.skipif(os.geteuid() != 0, reason="missing ability: becoming another user")
    def test_another_user_s_blob_is_copied_once(self, open_layout: Layout) -> None:
        """As fs.protected_hardlinks has it, where somebody else's read-only file takes no link."""
        if Path("/proc/sys/fs/protected_hardlinks").read_text().strip() != "1":
            pytest.skip("missing ability: fs.protected_hardlinks is off")
        layout = open_layout
        stores = local_backend(layout.root).stores
        keep(stores, CONTENT)
        give_away(layout.root, but=layout.blob(identity(CONTENT)))

        def upload_twice() -> None:
            for number in range(2):
                publish(stores, file_upload(stores, number, content=CONTENT))

        in_child(upload_twice, user=NOBODY)
        blob = layout.blob(identity(CONTENT))
        assert sorted(path.name for path in blob.parent.iterdir()) == [
            blob.name,
            f"{blob.name}~1",
        ]
        assert replica_faults(layout.root) == []

    @pytest.mark.parametrize("error", [errno.EPERM, errno.EXDEV], ids=errno.errorcode.get)
    def test_a_place_that_takes_no_links_at_all_is_told_and_costs_no_copies(
        self, layout: Layout, error: int
    ) -> None:
        """An immutable directory, or ``replica/`` mounted from elsewhere."""
        disk = ApartDisk(error=0)
        stores = local_backend(layout.root, disk=disk).stores
        disk.error = error
        for number in range(2):
            with pytest.raises(StorageUnavailable):
                publish(stores, file_upload(stores, number, content=CONTENT))
        blob = layout.blob(identity(CONTENT))
        assert [path.name for path in blob.parent.iterdir()] == [blob.name]


def test_a_start_refuses_a_store_whose_replicas_are_mounted_from_elsewhere(
    layout: Layout,
) -> None:
    with pytest.raises(UnusableStore, match="several file systems"):
        local_backend(layout.root, disk=MountedElsewhere())
    assert [*layout.root.glob("*/probe-*"), *layout.staging.iterdir()] == []


class MountedElsewhere(Disk):
    """A disk whose ``replica/`` is another one."""

    def link(self, source: Path | str, target: Path | str, *, directory: int | None = None) -> None:
        if "replica" in Path(target).parts:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        super().link(source, target, directory=directory)


def publish_if_entries(stores: Stores, record: Record) -> None:
    """As the service does it, which looks what is there before it publishes."""
    with held(stores, record) as directories:
        for replica in record.replicas:
            directories.entries(replica.directory)
        directories.announce(record)
        stores.records.publish(record)
        directories.make(record)


def fill(path: Path, aside: Path) -> None:
    """Give the file as many names as it takes."""
    aside.mkdir()
    directory = os.open(aside, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number in range(65_100):
            os.link(path, str(number), dst_dir_fd=directory)
    except OSError as error:
        assert error.errno == errno.EMLINK
    else:
        pytest.skip("missing ability: a file system whose inodes take 65,000 names, as ext4's")
    finally:
        os.close(directory)


def give_away(root: Path, *, but: Path) -> None:
    for path in (root, *root.rglob("*")):
        if path != but:
            os.chown(path, NOBODY, NOBODY)
