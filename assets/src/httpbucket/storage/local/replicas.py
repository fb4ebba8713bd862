"""Replicas as hardlinks and trees of hardlinks, with symlinks to the latest.

A lock covers number, publication and ``latest`` of a directory. What is to be made stands in
``private/redo/<upload>-<directory's digest>`` from before the record is published until it is made;
whoever has the lock and finds such a file knows that its writer died. A file there outlives power
loss only while nothing was published in that directory since, because every later one syncs
``private/redo`` as well; so making it again never moves ``latest`` back.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from httpbucket.domain.errors import (
    BlobNotFound,
    BucketError,
    ContentVanished,
    StorageFull,
    StorageUnavailable,
    UploadNotFound,
)
from httpbucket.domain.upload import Record, Replica, UploadId
from httpbucket.storage.base import HeldDirectories, Records
from httpbucket.storage.local.disk import told_as_refusals
from httpbucket.storage.local.layout import BLOB_MODE, Layout
from httpbucket.storage.local.locks import locked
from httpbucket.storage.local.public_names import PublicNames
from httpbucket.storage.local.replica_removal import (
    DIGEST_DIGITS,
    Removal,
    ReplicaRemoval,
    directory_digest,
    redo_file,
    removals,
)

logger = logging.getLogger(__name__)

_DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST_DIGITS}}}")
#: Lock files would be as many as replica directories; two that share one only wait for each other.
_STRIPE_DIGITS = 2


class LocalReplicas:
    """Replica directories below ``replica/``."""

    def __init__(self, names: PublicNames, records: Records) -> None:
        self._names = names
        self._layout = names.layout
        self._disk = names.disk
        self._records = records
        self.removal = ReplicaRemoval(names)

    @contextmanager
    def hold(self, directories: Collection[str]) -> Iterator[HeldDirectories]:
        digests = {directory_digest(directory) for directory in directories}
        with ExitStack() as locks:
            with told_as_refusals():
                locks.enter_context(self._locked(digests))
                for digest in digests:
                    for path in sorted(self._layout.redo.glob(f"*-{digest}")):
                        self._redo(path)
            held = _Held(self, self._names)
            try:
                yield held
            finally:
                held.forget_unpublished()

    def finish(self) -> int:
        with told_as_refusals():
            found = sorted(path.name for path in self._layout.redo.iterdir())
        finished: set[str] = set()
        refusals: list[BucketError] = []
        for name in found:
            try:
                if self._finish(name):
                    finished.add(name.rpartition("-")[0])
            except (StorageFull, StorageUnavailable) as error:
                refusals.append(error)
        if refusals:
            logger.warning("%d replicas are finished later: %s", len(refusals), refusals[0])
        return len(finished)

    def announce(self, record: Record) -> None:
        """As `HeldDirectories.announce`."""
        with told_as_refusals():
            for path in _redo_files(self._layout, record):
                self._disk.write_new(path, b"", BLOB_MODE, sync=False)
            self._disk.sync_directory(self._layout.redo)

    def make(self, record: Record) -> None:
        """As `HeldDirectories.make`."""
        with told_as_refusals():
            for directory in _directories(record):
                self._make_in(directory, record)
            for path in _redo_files(self._layout, record):
                path.unlink(missing_ok=True)

    def remake(self, record: Record, replica: Replica) -> None:
        """Make a replica that is gone, and leave ``latest``. The caller holds its directory."""
        with self._names.made(replica.directory) as directory, suppress(FileExistsError):
            self._make(replica, record, directory)

    @contextmanager
    def _locked(self, digests: Collection[str]) -> Iterator[None]:
        with ExitStack() as locks:
            # In one order everywhere, so that nobody waits for somebody who waits for him.
            for stripe in sorted({digest[:_STRIPE_DIGITS] for digest in digests}):
                locks.enter_context(locked(self._layout.locks / f"replica-{stripe}"))
            yield

    def _finish(self, name: str) -> bool:
        """Redo what a file in ``private/redo`` says; False if that is nothing."""
        path = self._layout.redo / name
        digest = name.rpartition("-")[2]
        with told_as_refusals():
            if not _DIGEST.fullmatch(digest):
                path.unlink(missing_ok=True)
                return False
            # Its writer may be alive, in another process on the same store.
            with self._locked([digest]):
                return path.exists() and self._redo(path)

    def _redo(self, path: Path) -> bool:
        """Make what the redo file stands for, and remove it; False if that is nothing.

        The caller has its lock. What can never be made must not keep others from the directory.
        """
        upload, _, digest = path.name.rpartition("-")
        is_made = False
        try:
            if path.stat().st_size:
                return self._finish_removal(path, UploadId.parse(upload))
            record = self._records.load(UploadId.parse(upload))
            for directory in _directories(record):
                if directory_digest(directory) == digest:
                    self._make_in(directory, record)
                    is_made = True
        except UploadNotFound:
            logger.info("Upload %s ended before it was published.", upload)
        except (BlobNotFound, ContentVanished, FileNotFoundError, ValueError) as error:
            logger.error("Upload %s is damaged; its replicas cannot be made: %s", upload, error)
        path.unlink(missing_ok=True)
        return is_made

    def _finish_removal(self, path: Path, upload: UploadId) -> bool:
        """Remove what was to be removed, unless a record names it: its writer died before that."""
        removal = Removal.from_bytes(path.read_bytes())
        named: set[str] = set()
        with suppress(UploadNotFound):
            named = {replica.path for replica in self._records.load(upload).replicas}
        is_to_go = removal.paths.isdisjoint(named)
        if is_to_go:
            self.removal.carry_out(removal)
        path.unlink(missing_ok=True)
        return is_to_go

    def settle(self, upload: UploadId, wanted: Sequence[Removal]) -> None:
        """Carry an announced removal out, or forget it, as the record says."""
        for one in wanted:
            self._finish_removal(redo_file(self._layout, upload, one.directory), upload)

    def _make_in(self, path: str, record: Record) -> None:
        replicas = [one for one in record.replicas if one.directory == path]
        with self._names.made(path) as directory:
            for replica in replicas:
                with suppress(FileExistsError):
                    self._make(replica, record, directory)
            for replica in replicas:
                for link in replica.latest:
                    self._names.point(link, replica.name, directory=directory)

    def _make(self, replica: Replica, record: Record, directory: int) -> None:
        if replica.part == "tree":
            if record.tree and not _exists(replica.name, directory):
                manifest = record.tree.manifest.sha256
                self._names.give_tree(replica.name, manifest, directory=directory)
        elif named := record.named_part(replica.part):
            self._names.linker.name(named.blob, replica.name, directory=directory)


class _Held:
    """The directories between `LocalReplicas.hold` and its end."""

    def __init__(self, replicas: LocalReplicas, names: PublicNames) -> None:
        self._replicas = replicas
        self._names = names
        self._announced: Record | None = None

    def entries(self, directory: str) -> Collection[str]:
        with told_as_refusals(), self._names.nearest(directory) as (nearest, is_there):
            names = _names_in(nearest) if is_there else []
            _require_writable(nearest)
        return names

    def announce(self, record: Record) -> None:
        self._announced = record
        self._replicas.announce(record)

    def make(self, record: Record) -> None:
        self._replicas.make(record)

    def shown(self, link: str) -> str | None:
        with told_as_refusals():
            return self._replicas.removal.shown(link)

    @contextmanager
    def removing(
        self, upload: UploadId, replicas: Collection[Replica], latest: Mapping[str, str | None]
    ) -> Iterator[None]:
        removal, wanted = self._replicas.removal, removals(replicas, latest)
        with told_as_refusals():
            removal.announce(upload, wanted)
        try:
            yield
        except BaseException:
            # Whether the record names them still is seen on the disk: the caller may have failed
            # after its step. What cannot be looked at now is seen to by the next who holds these.
            with suppress(OSError, StorageUnavailable):
                self._replicas.settle(upload, wanted)
            raise
        with told_as_refusals():
            for one in wanted:
                removal.carry_out(one)
            removal.forget(upload, wanted)

    def forget_unpublished(self) -> None:
        record = self._announced
        if record and not self._names.layout.upload(record.id).exists():
            for path in _redo_files(self._names.layout, record):
                path.unlink(missing_ok=True)


def _redo_files(layout: Layout, record: Record) -> list[Path]:
    return [redo_file(layout, record.id, one) for one in _directories(record)]


def _directories(record: Record) -> list[str]:
    return [*dict.fromkeys(replica.directory for replica in record.replicas)]


def _names_in(directory: int) -> list[str]:
    with os.scandir(directory) as found:
        return [entry.name for entry in found]


def _require_writable(directory: int) -> None:
    """Refuse before anything is recorded what making a replica would be refused after."""
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=directory, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
