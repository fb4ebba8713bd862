"""Everything that can go wrong and be told: one sentence each, facts as attributes.

No class here knows HTTP. ``httpbucket.web.errors`` is the one table from these classes to statuses.
"""

from __future__ import annotations

from typing import ClassVar


class BucketError(Exception):
    """A refusal that the client or the operator should read.

    ``str(error)`` is one sentence: what was wrong and what was expected. ``problem`` is the short
    name that programs compare. ``detail`` holds further facts, ready for JSON.
    """

    problem: ClassVar[str] = "error"

    def __init__(self, sentence: str, **detail: object) -> None:
        super().__init__(sentence)
        self.detail: dict[str, object] = detail


class InvalidDigest(BucketError):
    """A text is not a digest of any algorithm that is recorded here."""

    problem = "invalid-digest"


class AmbiguousDigest(BucketError):
    """A digest of a weak algorithm names several different contents."""

    problem = "ambiguous-digest"


class BlobNotFound(BucketError):
    """No upload names this content."""

    problem = "blob-not-found"


class UploadNotFound(BucketError):
    """There is no upload with this id."""

    problem = "upload-not-found"


class DamagedRecord(BucketError):
    """The record of an upload is on the disk, and cannot be read for what it says."""

    problem = "damaged-record"


class NameNotFound(BucketError):
    """Nothing that anybody may look at has this path."""

    problem = "name-not-found"

    def __init__(self, path: str) -> None:
        shown = path.encode(errors="replace").decode()
        super().__init__(f"There is nothing named {shown[:200]!r}.")


class NotDeletable(BucketError):
    """What the path names can only go with something larger."""

    problem = "not-deletable"


class KeptUpload(BucketError):
    """The upload is marked to be kept."""

    problem = "kept-upload"


class NotAllowed(BucketError):
    """The client may not do this here; the sentence says which setting opens it."""

    problem = "not-allowed"


class InvalidUndo(BucketError):
    """The address to undo an upload is not one that this server gave, or its time is over."""

    problem = "invalid-undo"


class InvalidRetention(BucketError):
    """What a client says of how long to keep its upload is no number of days, or too many."""

    problem = "invalid-retention"


class TooManyFiles(BucketError):
    """A directory holds more files than one zip can list in memory."""

    problem = "too-many-files"


class DigestMismatch(BucketError):
    """A content is not the one whose digest the client sent along."""

    problem = "digest-mismatch"


class NotTakenOver(BucketError):
    """A file of another store cannot become an upload here."""

    problem = "not-taken-over"


class KeyReused(BucketError):
    """An ``Idempotency-Key`` comes again, with another content."""

    problem = "idempotency-key-reused"


class InvalidKey(BucketError):
    """An ``Idempotency-Key`` is too long, or holds what is no text."""

    problem = "invalid-idempotency-key"


class InvalidPath(BucketError):
    """The folders that a client wants its file in cannot be made."""

    problem = "invalid-path"


class InvalidFormat(BucketError):
    """The client asks for an answer in a form that there is not."""

    problem = "invalid-format"


class MissingFile(BucketError):
    """The request carries no file in the field where one is expected."""

    problem = "missing-file"


class EmptyFilename(BucketError):
    """A file came without a name."""

    problem = "empty-filename"


class TooLarge(BucketError):
    """The act holds more bytes than ``MAX_CONTENT_LENGTH``."""

    problem = "too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The upload is larger than {limit} bytes, "
            "the most that this server takes (MAX_CONTENT_LENGTH).",
            max_content_length=limit,
        )


class StorageFull(BucketError):
    """The disk or a quota has no room for these bytes."""

    problem = "storage-full"


class StorageUnavailable(BucketError):
    """The store cannot do this now (read-only, out of descriptors, an input/output error)."""

    problem = "storage-unavailable"


class Busy(StorageUnavailable):
    """Another request works on what this one needs, and does not let go of it in time."""

    problem = "busy"


class ContentVanished(StorageUnavailable):
    """Something that was kept is gone from the store, by whatever hand."""

    problem = "content-vanished"


class IndexNotReady(BucketError):
    """The index cannot answer yet; the same question later gets an answer."""

    problem = "index-not-ready"


class UnusableStore(BucketError):
    """The store's directory cannot be used; the sentence tells the operator what to do."""

    problem = "unusable-store"


class InvalidSettings(BucketError):
    """The environment holds mistakes, all of which are in ``mistakes``."""

    problem = "invalid-settings"

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class SeveralFiles(BucketError):
    """One request brings more files than are made uploads of their own at once."""

    problem = "several-files"


class UnsafePath(BucketError):
    """A file's path points out of its tree, or deceives those who read it."""

    problem = "unsafe-path"


class PendingTreeNotFound(BucketError):
    """No tree with this id waits for its files."""

    problem = "tree-not-found"

    def __init__(self, text: str) -> None:
        super().__init__(
            f"No tree {text[:80]!r} waits for files; it may have expired (PARTIAL_SECONDS). "
            "Send the list of its digests to POST /tree again."
        )


class MalformedBody(BucketError):
    """The request's body is not what its headers say."""

    problem = "malformed-body"


class PartialBody(BucketError):
    """The body is announced as a part of a file."""

    problem = "partial-body"


class IncompleteBody(BucketError):
    """The client stopped sending before the end of what it announced."""

    problem = "incomplete-body"


class ClientGone(BucketError):
    """The client closed the connection while its upload was being worked on."""

    problem = "client-gone"


class SlowBody(BucketError):
    """The client sent too little for too long."""

    problem = "slow-body"


class MalformedChecksums(BucketError):
    """A list of digests that a client sent cannot be read."""

    problem = "malformed-checksums"


class TooManyChecksums(BucketError):
    """A list holds more digests, or is longer, than one question may be."""

    problem = "too-many-checksums"


class UnsupportedCoding(BucketError):
    """The body is coded in a way that would be stored as it is, and not as what it means."""

    problem = "unsupported-coding"


class CrossSite(BucketError):
    """A browser sends this on behalf of another site's page."""

    problem = "cross-site"


class UnusableAddress(BucketError):
    """The server cannot listen where it should; the sentence tells the operator what to do."""

    problem = "unusable-address"
