"""Why an archive file or a compressed file stays packed: one class for each reason."""

from __future__ import annotations

from httpbucket.domain.errors import BucketError
from httpbucket.domain.upload import Finding


class CannotUnpack(BucketError):
    """The file stays as it came; the sentence says why, for the receipt or for the refusal."""

    problem = "cannot-unpack"

    @property
    def finding(self) -> Finding:
        """The same fact as a finding, for an upload that is kept all the same."""
        return Finding(self.problem, str(self))


class LimitExceeded(CannotUnpack):
    """Unpacking would pass a limit that the operator set; ``limit`` names it."""

    problem = "unpack-limit"

    def __init__(self, limit: str, allowed: int, sentence: str) -> None:
        super().__init__(f"{sentence} ({limit}).", limit=limit, allowed=allowed)
        self.limit = limit
        self.allowed = allowed


class UnsafeMemberName(CannotUnpack):
    """One member's name points out of the tree, or deceives those who read it."""

    problem = "unsafe-member-name"


class CorruptArchive(CannotUnpack):
    """The bytes contradict their format or their own checksums."""

    problem = "corrupt-archive"


class TruncatedArchive(CorruptArchive):
    """The bytes end before the format says that they do."""

    problem = "truncated-archive"


class EncryptedArchive(CannotUnpack):
    """A member cannot be read without a password."""

    problem = "encrypted-archive"


class UnsupportedArchive(CannotUnpack):
    """The file asks for a method, or for an amount of memory, that is not offered here."""

    problem = "unsupported-archive"
