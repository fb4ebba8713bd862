"""How much one upload may unpack to, and the meter that stops it on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from httpbucket.domain.unpacking import LimitExceeded

MEBIBYTE = 1024 * 1024

#: No read and no piece of content is larger, and the limits are looked at once for each.
CHUNK_SIZE = MEBIBYTE

#: Honest files of this size compress by any ratio: a log of zeros, an empty database.
_RATIO_COUNTS_FROM = 256 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """What the operator allows; a manifest records it, for it decides what a tree looks like.

    ``max_bytes`` is what may come out of one decompression, and again out of one archive file;
    ``max_members`` counts entries of every kind; ``max_ratio`` is bytes out for a byte in, once
    256 MiB came out; ``max_depth`` is the parts of a path and ``max_path`` its UTF-8 bytes;
    ``max_seconds`` is the time for all of it.
    """

    max_bytes: int = 2 * 1024 * MEBIBYTE
    max_members: int = 100_000
    max_ratio: int = 2000
    max_depth: int = 64
    max_path: int = 1024
    max_seconds: int = 300

    def as_mapping(self) -> dict[str, int]:
        """The limits by name, as a manifest's header holds them."""
        return asdict(self)


class Budget:
    """Counts what one unpacking uses up; every method raises `LimitExceeded` when it is too much.

    ``source_size`` is the bytes that are read, for the ratio. ``clock`` gives monotonic seconds;
    they count from the first use on, so that waiting for one's turn costs nothing.
    """

    def __init__(
        self,
        limits: UnpackLimits,
        *,
        source_size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.members = 0
        self.bytes = 0
        self._clock = clock
        self._deadline: float | None = None
        self._allow(source_size)

    def next_stage(self, source_size: int) -> None:
        """Count bytes from zero again, for the archive file that a decompression gave.

        Members and seconds go on.
        """
        self.bytes = 0
        self._allow(source_size)

    def spend(self, size: int) -> None:
        """Count ``size`` bytes that come out now; call it at least once a MiB."""
        self.bytes += size
        if self.bytes > self._allowed_bytes:
            self._refuse_bytes()
        self.check_time()

    def count_member(self) -> None:
        """Count one entry of an archive file, of any kind."""
        self.members += 1
        self.check_members(self.members)
        self.check_time()

    def check_members(self, members: int) -> None:
        """Refuse an archive file that announces more ``members`` than may be."""
        allowed = self.limits.max_members
        if members > allowed:
            sentence = f"The archive file holds more than {allowed} members"
            raise LimitExceeded("UNPACK_MAX_MEMBERS", allowed, sentence)

    def check_time(self) -> None:
        """Refuse to go on past the deadline; for work that gives neither bytes nor members."""
        now = self._clock()
        if self._deadline is None:
            self._deadline = now + self.limits.max_seconds
        if now > self._deadline:
            allowed = self.limits.max_seconds
            sentence = f"Unpacking took longer than {allowed} seconds"
            raise LimitExceeded("UNPACK_MAX_SECONDS", allowed, sentence)

    def _allow(self, source_size: int) -> None:
        by_ratio = max(_RATIO_COUNTS_FROM, source_size * self.limits.max_ratio)
        self._allowed_bytes = min(self.limits.max_bytes, by_ratio)

    def _refuse_bytes(self) -> None:
        allowed = self.limits.max_bytes
        if self.bytes > allowed:
            sentence = f"The file unpacks to more than {allowed} bytes"
            raise LimitExceeded("UNPACK_MAX_BYTES", allowed, sentence)
        allowed = self.limits.max_ratio
        sentence = f"The file unpacks to more than {allowed} times its own size"
        raise LimitExceeded("UNPACK_MAX_RATIO", allowed, sentence)
