"""What a request says of the uploads that it makes, beside their bytes."""

from __future__ import annotations

from httpbucket.domain.unpacking import UnpackWish
from httpbucket.services.ingest import Ingest
from httpbucket.services.retry import checked_key
from httpbucket.services.terms import Terms
from httpbucket.web.request import BucketRequest


def terms_of(asked: BucketRequest, ingest: Ingest) -> Terms:
    """What the client says in headers, query and fields; read the files of a form first.

    Raises `InvalidWish`, `InvalidRetention`, `InvalidKey`.
    """
    return Terms(
        wish=UnpackWish.parse(asked.parameter("Unpack")),
        headers=asked.chosen(ingest.headers),
        days=ingest.parse_days(asked.parameter("Retention-Days")),
        is_gone=asked.is_client_gone,
        idempotency_key=checked_key(asked.parameter("Idempotency-Key")),
    )
