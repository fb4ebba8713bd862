"""Addresses by which a producer takes its upload back: signed, and valid for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from itsdangerous.encoding import base64_encode
from itsdangerous.serializer import Serializer

from httpbucket.domain.errors import InvalidUndo
from httpbucket.domain.upload import Receipt, UploadId


class _Tokens(URLSafeSerializer):
    """Does not try to compress what is too short for that."""

    def dump_payload(self, obj: Any) -> bytes:
        """``obj`` as a part of an address."""
        return base64_encode(Serializer.dump_payload(self, obj))


class Undo:
    """Makes and reads the tokens in these addresses.

    A token is an upload and a moment, signed with a secret of the store, so that nothing of it has
    to be kept. It is in the receipt and nowhere else.
    """

    def __init__(self, secret: bytes, *, seconds: int, now: Callable[[], datetime]) -> None:
        self._signer = _Tokens(secret, salt="undo")
        self._seconds = seconds
        self._now = now

    def token(self, receipt: Receipt) -> str | None:
        """What is valid for ``UNDO_SECONDS`` from when the upload came.

        None when that is no time, and for who is told again: that may be somebody else.
        """
        if not self._seconds or receipt.is_replay:
            return None
        until = int(receipt.record.received.timestamp()) + self._seconds
        return str(self._signer.dumps([str(receipt.record.id), until]))

    def read(self, token: str) -> UploadId:
        """The upload that is meant. Raises `InvalidUndo`."""
        try:
            upload, until = self._signer.loads(token)
        except BadData as error:
            raise InvalidUndo("This server did not give this address.") from error
        if self._now().timestamp() > until:
            raise InvalidUndo("The time to undo this upload is over.")
        return UploadId.parse(upload)
