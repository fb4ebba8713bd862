"""Holding a content to the digests that its client sent along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from httpbucket.content.hashing import hashed
from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest
from httpbucket.domain.sent_digest import require_equal
from httpbucket.services.receive import Content


def verified(content: Content, blob: Descriptor, expected: Sequence[Digest]) -> Descriptor:
    """``blob``, which describes ``content``, when it has every digest of ``expected``.

    Digests that it lacks are computed and then belong to it. Raises `DigestMismatch`.
    """
    if missing := {one.algorithm for one in expected} - blob.digests.keys():
        with content.open() as reader:
            more = hashed(reader, missing).digests()
        blob = replace(blob, digests=more | dict(blob.digests))
    for one in expected:
        require_equal(one, Digest(one.algorithm, blob.digests[one.algorithm]))
    return blob
