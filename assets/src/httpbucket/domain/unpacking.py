"""Why an archive file or a compressed file stays packed: one class for each reason."""

from __future__ import annotations

from enum import Enum
from typing import Self

from httpbucket.domain.errors import BucketError
from httpbucket.domain.upload import Finding


class UnpackWish(Enum):
    """What the client says of unpacking its file; ``AUTO`` when it says nothing.

    ``TRUE`` unpacks also what would stay packed by its name; ``REQUIRE`` makes a refusal to unpack
    a refusal of the upload; ``FALSE`` keeps the file as it is.
    """

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"
    REQUIRE = "require"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the value of ``Unpack``, in any case; empty means ``AUTO``. Raises `InvalidWish`."""
        try:
            return cls(text.strip().lower() or "auto")
        except ValueError:
            raise InvalidWish(
                f"Unpack is {text[:40]!r}; expected true, false or require."
            ) from None

    @property
    def is_asked(self) -> bool:
        """Whether the client wants the file unpacked, whatever its name."""
        return self in {UnpackWish.TRUE, UnpackWish.REQUIRE}


class InvalidWish(BucketError):
    """``Unpack`` has a value that means nothing."""

    problem = "invalid-unpack"


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
