"""A lease makes "have it" a promise: what a producer need not send stays for a while."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from httpbucket.storage.base import Index

#: A lease lasts longer than promised by this share, so that not every question writes one.
_SPARE = 8


class Leases:
    """Promises of ``seconds``."""

    def __init__(self, *, index: Index, seconds: int, now: Callable[[], datetime]) -> None:
        self._index = index
        self._lasting = timedelta(seconds=seconds)
        self._now = now

    def grant(self, blobs: Collection[bytes]) -> bool:
        """Have known blobs (SHA-256, raw) stay; whether to ask again, as `Index.lease` says.

        Writes only where an upload expires too early. Raises `IndexNotReady`.
        """
        at_least = self._now() + self._lasting
        return self._index.lease(blobs, at_least=at_least, until=at_least + self._lasting / _SPARE)
