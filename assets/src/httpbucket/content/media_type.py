"""What a content is, told by its first bytes."""

from __future__ import annotations

import threading

# pylibmagic brings the shared library and its rules along and points python-magic at them,
# so that no system package is needed; it has to be imported first.
import pylibmagic  # noqa: F401  isort: skip
import magic

from httpbucket.domain.blob import UNKNOWN_MEDIA_TYPE

#: How many of a content's first bytes `MediaTypes.of` wants to see. A tar is known by byte 257.
HEAD_BYTES = 16 * 1024


class MediaTypes:
    """libmagic behind a lock.

    libmagic is not thread-safe, and making a ``Magic`` costs 3 ms where asking one costs 0.2.
    """

    def __init__(self) -> None:
        self._magic = magic.Magic(mime=True)
        self._lock = threading.Lock()

    def of(self, head: bytes) -> str:
        """The media type of the content that starts with ``head``, for example ``text/xml``."""
        with self._lock:
            try:
                return str(self._magic.from_buffer(head[:HEAD_BYTES]))
            except magic.MagicException:
                return UNKNOWN_MEDIA_TYPE
