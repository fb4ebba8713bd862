"""An upload of one file, as a client makes it, without HTTP around it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from httpbucket.domain.upload import Receipt
from httpbucket.services.ingest import Ingest, Offer
from httpbucket.services.terms import Terms


def upload_file(ingest: Ingest, content: bytes, filename: str | None, **terms: Any) -> Receipt:
    """The receipt of an act of one file; ``terms`` are those of `Terms`."""
    with closing(ingest.begin()) as act:
        incoming = act.new_file()
        incoming.write(content)
        return ingest.keep(Offer(incoming, filename), Terms(**terms))
