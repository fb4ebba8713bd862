"""Where everything lies below the store's root.

::

    ARCHIVE_DIR/
    ├── bucket-layout                    "1": a newer layout, or a foreign directory, is refused
    ├── blob/ab/cd/<sha256>              every content once, mode 0444
    ├── archive/2026/11/21/<upload id>/  a directory for each upload, published by one rename
    │   ├── results.tgz                    hardlink to the blob, under the client's name
    │   ├── results.tar                    the decompressed form of a compressed file
    │   ├── results/…                      the unpacked tree of an archive file
    │   ├── .manifest.jsonl                hardlink to the tree's manifest
    │   └── .upload.json                   the record
    ├── replica/…                        further names for kept content, by the templates
    └── private/                         0700: never exported, never served
        ├── staging/<process>/             what is on its way in; locked while the process lives
        ├── trash/                         what is being freed or deleted
        ├── partial/tus/<id>/              an upload that comes in pieces: its bytes, what was said
        ├── partial/tree/<id>/             a tree of which some files are to come: its list
        ├── redo/  locks/  notes/  quarantine/
        ├── secret                         what addresses are signed with
        └── index.sqlite3                  can be deleted; the next start makes it again
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from httpbucket.domain.digest import Digest
from httpbucket.domain.upload import UploadId

#: The version of this layout, as `Layout.marker` holds it.
LAYOUT_VERSION = 1

RECORD_NAME = ".upload.json"
MANIFEST_NAME = ".manifest.jsonl"

PUBLIC_DIRECTORY_MODE = 0o755
PRIVATE_DIRECTORY_MODE = 0o700
BLOB_MODE = 0o444


@dataclass(frozen=True, slots=True)
class Layout:
    """Makes every path of the store."""

    root: Path

    @property
    def marker(self) -> Path:
        return self.root / "bucket-layout"

    @property
    def blobs(self) -> Path:
        return self.root / "blob"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def replicas(self) -> Path:
        return self.root / "replica"

    @property
    def private(self) -> Path:
        return self.root / "private"

    @property
    def staging(self) -> Path:
        return self.private / "staging"

    @property
    def redo(self) -> Path:
        return self.private / "redo"

    @property
    def trash(self) -> Path:
        return self.private / "trash"

    @property
    def locks(self) -> Path:
        return self.private / "locks"

    @property
    def notes(self) -> Path:
        return self.private / "notes"

    @property
    def partial(self) -> Path:
        return self.private / "partial"

    @property
    def partial_uploads(self) -> Path:
        return self.private / "partial" / "tus"

    @property
    def records_lock(self) -> Path:
        """Who has it is alone to change records that are published."""
        return self.locks / "records"

    @property
    def quarantine(self) -> Path:
        return self.private / "quarantine"

    @property
    def secret(self) -> Path:
        return self.private / "secret"

    @property
    def index(self) -> Path:
        return self.private / "index.sqlite3"

    @property
    def public_directories(self) -> tuple[Path, ...]:
        return (self.blobs, self.archive, self.replicas)

    @property
    def private_directories(self) -> tuple[Path, ...]:
        names = ("staging", "trash", "redo", "locks", "notes", "quarantine")
        partial = (self.partial_uploads.parent, self.partial_uploads)
        return (self.private, *(self.private / name for name in names), *partial)

    def blob(self, digest: Digest) -> Path:
        """The path of the blob with this SHA-256."""
        return Path(self.blob_text(digest))

    def blob_text(self, digest: Digest) -> str:
        """The same as text, for those who need thousands: pathlib takes 2 µs for each ``/``."""
        name = digest.hex
        return f"{self.root}/blob/{name[:2]}/{name[2:4]}/{name}"

    def upload(self, upload: UploadId) -> Path:
        """The path of the upload's directory."""
        return self.root / upload.directory
