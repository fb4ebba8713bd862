"""An upload and its record: all that must survive to know what was kept, when and why."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self, get_args

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.errors import BucketError, UploadNotFound
from httpbucket.domain.indented_json import indented

#: The version of the record's format; a reader refuses a newer one.
RECORD_FORMAT = 1

_NOT_A_RECORD = (
    *(KeyError, TypeError, AttributeError, OverflowError, RecursionError),
    BucketError,
)

_ID = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}Z-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True, order=True)
class UploadId:
    """When an upload came, to the millisecond, and 64 random bits; ids sort by time.

    >>> UploadId.parse("20261121T143205.812Z-9f3c1a77d0e4b256").directory
    'archive/2026/11/21/20261121T143205.812Z-9f3c1a77d0e4b256'
    """

    text: str

    @classmethod
    def new(cls, now: datetime, random_bits: int) -> Self:
        """The id of an upload that comes ``now`` (any zone); ``random_bits`` are 64 of them."""
        moment = now.astimezone(UTC)
        return cls(f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03}Z-{random_bits:016x}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id. Raises `UploadNotFound`, for no upload has any other text."""
        if not _ID.fullmatch(text):
            raise UploadNotFound(f"{text[:80]!r} is not the id of an upload.")
        return cls(text)

    @property
    def day(self) -> str:
        """The day (UTC) as a path below ``archive/``: ``2026/11/21``."""
        return f"{self.text[:4]}/{self.text[4:6]}/{self.text[6:8]}"

    @property
    def directory(self) -> str:
        """The upload's directory, relative to the store."""
        return f"archive/{self.day}/{self.text}"

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact about an upload that its producer should know: left out, changed, not unpacked."""

    problem: str
    sentence: str

    def to_json(self) -> dict[str, str]:
        """The finding as records and receipts write it."""
        return {"problem": self.problem, "sentence": self.sentence}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(str(value["problem"]), str(value["sentence"]))


@dataclass(frozen=True, slots=True)
class NamedBlob:
    """A blob under its name in the upload's directory."""

    name: str
    blob: Descriptor

    def to_json(self) -> dict[str, Any]:
        """The name beside the descriptor's own keys."""
        return {"name": self.name, **self.blob.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(str(value["name"]), Descriptor.from_json(value))


@dataclass(frozen=True, slots=True)
class Tree:
    """An unpacked archive file: its directory in the upload's, its manifest, what it sums to."""

    name: str
    manifest: Descriptor
    files: int
    size: int

    def to_json(self) -> dict[str, Any]:
        """The tree as records write it."""
        return {
            "name": self.name,
            "manifest": self.manifest.to_json(),
            "files": self.files,
            "size": self.size,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            name=str(value["name"]),
            manifest=Descriptor.from_json(value["manifest"]),
            files=int(value["files"]),
            size=int(value["size"]),
        )


#: Which part of an upload a replica shows.
Part = Literal["uploaded", "decompressed", "tree"]


@dataclass(frozen=True, slots=True)
class Replica:
    """One more name for a part of an upload; ``latest`` are the links beside it that it got."""

    path: str
    part: Part
    latest: tuple[str, ...] = ()

    @property
    def directory(self) -> str:
        """Where it lies, relative to the store: ``replica/user/bob``."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Its name in that directory."""
        return self.path.rpartition("/")[2]

    def to_json(self) -> dict[str, Any]:
        """The replica as records and receipts write it."""
        return {"path": self.path, "part": self.part, "latest": list(self.latest)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote. Raises ValueError for a part that there is not."""
        part = value["part"]
        if part not in get_args(Part):
            raise ValueError(f"{part!r} is no part of an upload")
        return cls(str(value["path"]), part, tuple(map(str, value["latest"])))


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one upload; its JSON is ``.upload.json`` in the upload's directory.

    ``uploaded`` is the file as it came, None of a tree that came as its files; ``decompressed`` the
    stream inside a compressed file; ``tree`` what an archive file unpacked to, or those files;
    ``replicas`` where the content appears as well; ``headers`` the request headers that templates
    name, ``Result`` and ``Meta-…``; ``idempotency_key`` by what its client knows it again.
    ``folder`` is where in the upload's directory its file and tree lie (``reports/unit``), empty
    for that directory itself. It may go when it ``expires``, but never while ``keep`` is set.
    """

    id: UploadId
    received: datetime
    uploaded: NamedBlob | None
    decompressed: NamedBlob | None = None
    tree: Tree | None = None
    replicas: tuple[Replica, ...] = ()
    findings: tuple[Finding, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    expires: datetime | None = None
    idempotency_key: str | None = None
    keep: bool = False
    folder: str = ""

    def path_of(self, name: str) -> str:
        """The path, relative to the store, of what has this name in the upload."""
        return f"{self.place}/{name}"

    @property
    def place(self) -> str:
        """The directory, relative to the store, that holds the names of this upload."""
        return f"{self.id.directory}/{self.folder}" if self.folder else self.id.directory

    def named_blobs(self) -> tuple[NamedBlob, ...]:
        """The blobs that this record names itself (a manifest's members come on top)."""
        return tuple(filter(None, (self.uploaded, self.decompressed)))

    def named_part(self, part: Part) -> NamedBlob | None:
        """The blob that this part is; None of a tree, and of what the upload has not."""
        return {"uploaded": self.uploaded, "decompressed": self.decompressed}.get(part)

    @property
    def name(self) -> str:
        """The name of what was uploaded: of the file, or of the tree that came as its files."""
        if self.uploaded:
            return self.uploaded.name
        return self.tree.name if self.tree else str(self.id)

    @property
    def size(self) -> int:
        """The bytes of what was uploaded, under whatever names."""
        if self.uploaded:
            return self.uploaded.blob.size
        return self.tree.size if self.tree else 0

    @property
    def archive_file(self) -> NamedBlob | None:
        """The archive file that was unpacked: of a ``.tgz`` the tar inside it."""
        return (self.decompressed or self.uploaded) if self.tree else None

    @property
    def shown_size(self) -> int:
        """Bytes of everything that the upload shows, as if it shared nothing with others."""
        named = sum(one.blob.size for one in self.named_blobs())
        return named + (self.tree.size if self.tree else 0)

    def sources(self) -> tuple[Digest, ...]:
        """The contents that this upload shows the inside of, by decompressing or unpacking."""
        if not (self.decompressed or self.tree):
            return ()
        named = filter(None, (self.uploaded, self.archive_file))
        return tuple(dict.fromkeys(one.blob.sha256 for one in named))

    @property
    def manifest(self) -> Digest | None:
        """The identity of the tree's manifest."""
        return self.tree.manifest.sha256 if self.tree else None

    def to_bytes(self) -> bytes:
        """The record as it lies on disk."""
        value: dict[str, Any] = {
            "format": RECORD_FORMAT,
            "id": str(self.id),
            "received": self.received.isoformat(),
            "uploaded": self.uploaded.to_json() if self.uploaded else None,
            "decompressed": self.decompressed.to_json() if self.decompressed else None,
            "tree": self.tree.to_json() if self.tree else None,
            "replicas": [replica.to_json() for replica in self.replicas],
            "findings": [finding.to_json() for finding in self.findings],
            "headers": dict(self.headers),
            "expires": self.expires.isoformat() if self.expires else None,
            "keep": self.keep,
        }
        if self.folder:
            value["folder"] = self.folder
        if self.idempotency_key is not None:
            value["idempotency_key"] = self.idempotency_key
        # A lone surrogate (a name that was never UTF-8) becomes its JSON escape.
        return indented(value, 1).encode(errors="backslashreplace") + b"\n"

    @classmethod
    def from_bytes(cls, text: bytes) -> Self:
        """Read what `to_bytes` wrote. Raises ValueError, saying what is wrong with it."""
        try:
            value = json.loads(text)
            if value["format"] > RECORD_FORMAT:
                raise ValueError(
                    f"the record has format {value['format']}, newer than this program"
                )
            return cls._from_json(value)
        except _NOT_A_RECORD as error:
            raise ValueError(f"not a record: {error!r}") from error

    @classmethod
    def _from_json(cls, value: Mapping[str, Any]) -> Self:
        uploaded, decompressed = value["uploaded"], value["decompressed"]
        tree, expires, key = value["tree"], value["expires"], value.get("idempotency_key")
        if not (uploaded or tree):
            raise ValueError("not a record: it names neither a file nor a tree")
        return cls(
            id=UploadId.parse(value["id"]),
            received=datetime.fromisoformat(value["received"]),
            uploaded=NamedBlob.from_json(uploaded) if uploaded else None,
            decompressed=NamedBlob.from_json(decompressed) if decompressed else None,
            tree=Tree.from_json(tree) if tree else None,
            replicas=tuple(map(Replica.from_json, value["replicas"])),
            findings=tuple(map(Finding.from_json, value["findings"])),
            headers={str(name): str(text) for name, text in value["headers"].items()},
            expires=datetime.fromisoformat(expires) if expires else None,
            folder=_folder(value.get("folder", "")),
            idempotency_key=None if key is None else str(key),
            keep=bool(value.get("keep", False)),
        )


def _folder(text: object) -> str:
    """A folder that a record may name. Raises ValueError for one that leads anywhere else."""
    folder = str(text)
    if folder and any(part in ("", ".", "..") for part in folder.split("/")):
        raise ValueError(f"{folder!r} is no folder of an upload")
    return folder


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a client is told was kept: the record, and the steps taken in plain words.

    ``is_replay`` when the upload was there before, and this tells of it once more.
    """

    record: Record
    log: tuple[str, ...]
    is_replay: bool = False
