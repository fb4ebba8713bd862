"""What may be looked at, of a store in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.errors import NameNotFound
from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.upload import Record, Replica, Tree, UploadId
from httpbucket.storage.base import BlobStore, Records, ShelfEntry, ShelfPage, TreeStore

#: A directory: names, and what they show. A text is the target of a link.
_Shelf = dict[str, "_Shelf | Descriptor | str"]


class MemoryShelves:
    """The names that records and replica directories give, put together for every question."""

    def __init__(
        self,
        *,
        records: Records,
        replicas: Mapping[str, Mapping[str, Replica | str]],
        blobs: BlobStore,
        trees: TreeStore,
    ) -> None:
        self._records = records
        self._replicas = replicas
        self._blobs = blobs
        self._trees = trees

    def resolve(self, path: PublicPath) -> PublicPath:
        parts: list[str] = []
        for part in path.parts:
            shown = self._replicas.get("/".join(parts), {}).get(part)
            parts.append(shown if isinstance(shown, str) else part)
        return PublicPath(tuple(parts))

    def look(self, path: PublicPath) -> ShelfEntry:
        found = self._find(path)
        if isinstance(found, str):
            raise NameNotFound(str(path))
        return _entry(path.name, found)

    def sight(self, path: PublicPath, resolved: PublicPath, upload: UploadId) -> None:
        return None

    def open(self, path: PublicPath) -> BinaryIO:
        found = self._find(path)
        if not isinstance(found, Descriptor):
            raise NameNotFound(str(path))
        return self._blobs.open(found.sha256)

    def page(self, path: PublicPath, *, after: str = "", limit: int) -> ShelfPage:
        found = self._find(path)
        if not isinstance(found, dict):
            raise NameNotFound(str(path))
        names = sorted(name for name in found if name > after)
        entries = []
        for name in names[:limit]:
            shown = found[name]
            target = shown if isinstance(shown, str) else None
            entries.append(_entry(name, found[target] if target else shown, target))
        return ShelfPage(tuple(entries), names[limit - 1] if len(names) > limit else None)

    def _find(self, path: PublicPath) -> _Shelf | Descriptor | str:
        found: _Shelf | Descriptor | str = self._all()
        for part in path.parts:
            if not isinstance(found, dict) or part not in found:
                raise NameNotFound(str(path))
            found = found[part]
        return found

    def _all(self) -> _Shelf:
        shelf: _Shelf = {"archive": {}, "replica": {}}
        for upload in self._records.ids():
            self._put_upload(shelf, self._records.load(upload))
        for directory, names in list(self._replicas.items()):
            for name, shown in names.items():
                if isinstance(shown, str):
                    _put(shelf, f"{directory}/{name}", shown)
        return shelf

    def _put_upload(self, shelf: _Shelf, record: Record) -> None:
        for one in record.named_blobs():
            _put(shelf, record.path_of(one.name), one.blob)
        if record.tree:
            self._put_tree(shelf, record.path_of(record.tree.name), record.tree)
        for replica in record.replicas:
            if replica.part == "tree" and record.tree:
                self._put_tree(shelf, replica.path, record.tree)
            elif named := record.named_part(replica.part):
                _put(shelf, replica.path, named.blob)

    def _put_tree(self, shelf: _Shelf, path: str, tree: Tree) -> None:
        _put(shelf, path, {})
        with self._trees.load(tree.manifest.sha256) as manifest:
            for entry in manifest.entries:
                _put(shelf, f"{path}/{entry.path}", entry.blob or {})


def _put(shelf: _Shelf, path: str, shown: _Shelf | Descriptor | str) -> None:
    *parents, name = path.split("/")
    for parent in parents:
        inner = shelf.setdefault(parent, {})
        assert isinstance(inner, dict), "a directory"
        shelf = inner
    shelf[name] = shown


def _entry(name: str, shown: _Shelf | Descriptor | str, target: str | None = None) -> ShelfEntry:
    size = shown.size if isinstance(shown, Descriptor) else 0
    return ShelfEntry(name, isinstance(shown, dict), size, 0.0, target)
