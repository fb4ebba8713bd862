"""A lease makes "have it" a promise: what a producer need not send stays for a while."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from httpbucket.storage.base import Index

#: A lease lasts longer than promised by this share, so that not every question writes one.
_SPARE = 8


class Leases:
    """Promises of ``seconds``.

    Where an upload may go before it expires (``despite_uploads``), because newer ones take its
    place, none is trusted to keep a content.
    """

    def __init__(
        self,
        *,
        index: Index,
        seconds: int,
        now: Callable[[], datetime],
        despite_uploads: bool = False,
    ) -> None:
        self._index = index
        self._lasting = timedelta(seconds=seconds)
        self._now = now
        self._despite_uploads = despite_uploads

    @property
    def until(self) -> datetime | None:
        """What no upload lets go before then needs no lease; None where everything needs one."""
        return None if self._despite_uploads else self._now() + self._lasting

    def grant(self, blobs: Collection[bytes]) -> bool:
        """Have known blobs (SHA-256, raw) stay; whether to ask again, as `Index.lease` says.

        Writes only where an upload may go too early. Raises `IndexNotReady`.
        """
        at_least = self._now() + self._lasting
        return self._grant(blobs, at_least, at_least + self._lasting / _SPARE)

    def grant_until(self, blobs: Collection[bytes], moment: datetime) -> bool:
        """The same until a moment that was promised before."""
        return self._grant(blobs, moment, moment)

    def _grant(self, blobs: Collection[bytes], at_least: datetime, until: datetime) -> bool:
        return self._index.lease(
            blobs, at_least=at_least, until=until, despite_uploads=self._despite_uploads
        )
