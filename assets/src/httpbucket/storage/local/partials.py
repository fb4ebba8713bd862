"""Unfinished uploads as directories: the bytes that came, and what was said of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from httpbucket.domain.errors import Busy
from httpbucket.domain.partial import PartialBusy, PartialId, PartialNotFound, PartialUpload
from httpbucket.domain.upload import UploadId
from httpbucket.storage.base import HeldPartial, StagedFile
from httpbucket.storage.local.aside import write_over
from httpbucket.storage.local.disk import Disk, told_as_refusals
from httpbucket.storage.local.layout import Layout
from httpbucket.storage.local.locks import wait_for
from httpbucket.storage.local.staging import LocalStaging
from httpbucket.storage.local.wanted import WantedWatch

_FILE_MODE = 0o600


class LocalPartialUploads:
    """``private/partial/tus/<id>/``, whose lock (flock(2)) dies with the process that holds it."""

    def __init__(self, layout: Layout, disk: Disk, staging: LocalStaging) -> None:
        self._root = layout.partial_uploads
        self._disk = disk
        self._staging = staging
        self._watch = WantedWatch()

    def create(self, partial: PartialUpload) -> None:
        self._staging.require(partial.length, promised=self._promised)
        with told_as_refusals():
            aside = self._staging.directory(str(partial.id))
            try:
                self._disk.write_new(aside / "upload.json", partial.to_bytes(), _FILE_MODE)
                self._disk.write_new(aside / "bytes", b"", _FILE_MODE)
                self._disk.sync_directory(aside)
                self._disk.rename(aside, self._root / str(partial.id))
            except BaseException:
                self._staging.remove_tree(aside)
                raise
            self._disk.sync_directory(self._root)

    @contextmanager
    def hold(self, upload: PartialId, *, seconds: float) -> Iterator[HeldPartial]:
        path = self._root / str(upload)
        with told_as_refusals(), _locked(path, seconds):
            held = LocalPartial(path, self._disk, self._staging, self._watch)
            try:
                yield held
            finally:
                held.close()

    def sweep(self) -> int:
        with told_as_refusals():
            return sum(_is_swept(path) for path in self._root.iterdir())

    def expire(self, before: float) -> int:
        with told_as_refusals():
            return sum(self._remove_if_idle(path, before) for path in self._root.iterdir())

    def _promised(self) -> int:
        """All bytes of the unfinished ones, those that are still to come too."""
        return sum(_promised(path) for path in self._root.iterdir())

    def _remove_if_idle(self, path: Path, before: float) -> bool:
        with suppress(PartialNotFound, PartialBusy), _locked(path, 0):
            if _modified(path) < before:
                _remove(path, self._staging)
                return True
        return False


class LocalPartial:
    """One of them, held."""

    def __init__(self, path: Path, disk: Disk, staging: LocalStaging, watch: WantedWatch) -> None:
        self._path = path
        self._bytes = path / "bytes"
        self._doubted = path / "doubted"
        self._disk = disk
        self._staging = staging
        self._watch = watch
        self._descriptor = -1
        self._share = staging.share()
        self.partial = _read(path)
        _forget_bytes_of_finished(path, self.partial)
        self._forget_what_is_doubted()

    @property
    def size(self) -> int:
        return self.partial.length if self.partial.upload else self._bytes.stat().st_size

    @property
    def modified(self) -> float:
        return _modified(self._path)

    def when_wanted(self, let_go: Callable[[], None]) -> AbstractContextManager[None]:
        return self._watch.watching(self._path / "wanted", let_go)

    def append(self, piece: bytes | bytearray | memoryview) -> None:
        with told_as_refusals():
            if self._descriptor < 0:
                self._descriptor = os.open(self._bytes, os.O_WRONLY | os.O_APPEND)
            self._share.take(len(piece))
            self._disk.write(self._descriptor, piece)

    def doubt(self) -> None:
        with told_as_refusals():
            self._disk.write_new(self._doubted, str(self.size).encode(), _FILE_MODE)

    def trust(self) -> None:
        with told_as_refusals():
            self._doubted.unlink(missing_ok=True)

    def cut(self, size: int) -> None:
        with told_as_refusals():
            os.truncate(self._bytes, size)

    def sync(self) -> None:
        with told_as_refusals():
            if self._descriptor >= 0:
                self._disk.sync_file(self._descriptor)

    def open(self) -> BinaryIO:
        return self._bytes.open("rb")

    def staged(self) -> StagedFile:
        return self._staging.adopt(self._bytes)

    def finish(self, upload: UploadId) -> None:
        partial = self.partial
        done = PartialUpload(partial.id, partial.length, partial.said, partial.metadata, upload)
        with told_as_refusals():
            path, text = self._path / "upload.json", done.to_bytes()
            write_over(path, text, _FILE_MODE, disk=self._disk, staging=self._staging)
            self._disk.sync_directory(self._path)
            self._bytes.unlink()
        self.partial = done

    def remove(self) -> None:
        with told_as_refusals():
            _remove(self._path, self._staging)

    def close(self) -> None:
        """Let go of the file, and of the room that was set aside for it."""
        self._share.release()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _forget_what_is_doubted(self) -> None:
        with suppress(FileNotFoundError):
            # Empty when the process died while it was written, before anything was appended.
            text = self._doubted.read_bytes()
            if text:
                self.cut(min(int(text), self.size))
            self._doubted.unlink()


@contextmanager
def _locked(path: Path, seconds: float) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        raise _not_found(path) from None
    try:
        _wait_for(descriptor, path / "wanted", seconds)
        # It may have been removed while we waited.
        if not path.exists():
            raise _not_found(path)
        (path / "wanted").unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, mark: Path, seconds: float) -> None:
    def want() -> None:
        with suppress(FileNotFoundError):
            mark.touch(_FILE_MODE)

    try:
        wait_for(descriptor, seconds=seconds, check=want)
    except Busy:
        raise PartialBusy(
            "Another request works on this upload; ask again in a few seconds."
        ) from None


def _read(path: Path) -> PartialUpload:
    try:
        return PartialUpload.from_bytes((path / "upload.json").read_bytes())
    except (FileNotFoundError, ValueError):
        raise _not_found(path) from None


def _is_swept(path: Path) -> bool:
    """Whether there was something to forget in it; what somebody holds is that one's work."""
    if not (path / "bytes").exists():
        return False
    with suppress(PartialNotFound, PartialBusy), _locked(path, 0):
        return _forget_bytes_of_finished(path, _read(path))
    return False


def _forget_bytes_of_finished(path: Path, partial: PartialUpload) -> bool:
    """A process may have died before it removed them; they are another name of the blob."""
    if partial.upload is None:
        return False
    try:
        (path / "bytes").unlink()
    except FileNotFoundError:
        return False
    return True


def _promised(path: Path) -> int:
    with suppress(PartialNotFound):
        partial = _read(path)
        return 0 if partial.upload else partial.length
    return 0


def _modified(path: Path) -> float:
    """When bytes came last; of a finished one, when that was."""
    for name in ("bytes", "upload.json"):
        with suppress(FileNotFoundError):
            return (path / name).stat().st_mtime
    return 0.0


def _remove(path: Path, staging: LocalStaging) -> None:
    """In one step: half of a directory would be found by the next who asks for it."""
    aside = staging.unused_path()
    path.rename(aside)
    staging.remove_tree(aside)


def _not_found(path: Path) -> PartialNotFound:
    return PartialNotFound(f"There is no unfinished upload {path.name}.")
