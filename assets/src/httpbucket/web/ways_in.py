"""``/upload``: files in, receipts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flask import Blueprint, Response, render_template

from httpbucket.domain.errors import TooLarge
from httpbucket.domain.template import named_headers
from httpbucket.domain.upload_path import UploadPath, safe_folder
from httpbucket.services.ingest import Ingest, Offer
from httpbucket.web.addresses import Addresses
from httpbucket.web.current import current_request
from httpbucket.web.policies import script_policy
from httpbucket.web.raw_uploads import (
    expected_digests,
    is_raw,
    kept_offer,
    know_any_path,
    nameless,
    raw_offer,
)
from httpbucket.web.receipts import Receipts
from httpbucket.web.request import TREE, BucketRequest, receiving
from httpbucket.web.sent_digests import digests_of_part
from httpbucket.web.terms import terms_of

#: What the page's script sends in pieces and not in one request, and how large these are: a lost
#: connection costs nothing, as what came of a piece stays, but each ends with a sync of the disk.
WHOLE_BYTES = PIECE_BYTES = 16 * 1024**2

#: Up to this size the script reads a file into memory to ask whether it is kept already.
DIGEST_BYTES = 64 * 1024**2


def blueprint(*, ingest: Ingest, receipts: Receipts, addresses: Addresses) -> Blueprint:
    """The routes by which files come."""
    routes = Blueprint("ways_in", __name__)
    routes.record_once(know_any_path)

    @routes.get("/upload")
    def form() -> Response:
        settings = receipts.present.settings
        page = render_template(
            "upload.html",
            settings=settings,
            # As people write them: ``Build-Id``.
            fields=[header.title() for header in named_headers(settings.templates)],
            too_large=TooLarge(settings.max_content_length),
            whole_bytes=WHOLE_BYTES,
            piece_bytes=PIECE_BYTES,
            digest_bytes=DIGEST_BYTES,
        )
        policy = script_policy(addresses.content_source)
        return Response(page, headers={"Content-Security-Policy": policy})

    # A redirect for a slash too many would end curl without an error, and nothing kept.
    @routes.post("/upload", merge_slashes=False)
    def upload() -> Response:
        return keep("")

    @routes.put("/upload", merge_slashes=False)
    @routes.route("/upload/", methods=["PUT", "POST"], merge_slashes=False)
    @routes.route("/upload/<any_path:name>", methods=["PUT", "POST"], merge_slashes=False)
    def upload_as(name: str = "") -> Response:
        return keep(name)

    def keep(name: str) -> Response:
        asked = current_request()
        checksum_type = receipts.present.settings.checksum_type
        offered = raw_offers if is_raw(asked, name) else form_offers
        with (
            receiving(asked, ingest),
            offered(asked, ingest, name, preferred=checksum_type) as offers,
        ):
            terms = terms_of(asked, ingest)
            if tree := asked.parameter(TREE):
                return receipts.answer(asked, ingest.keep_tree(tree, offers, terms))
            return receipts.answer(asked, *ingest.keep_all(offers, terms))

    return routes


@contextmanager
def raw_offers(
    asked: BucketRequest, ingest: Ingest, name: str, *, preferred: str
) -> Iterator[Sequence[Offer]]:
    """The one file of `raw_offer`."""
    with raw_offer(asked, ingest, name, preferred=preferred) as offer:
        yield [offer]


@contextmanager
def form_offers(
    asked: BucketRequest, ingest: Ingest, name: str, *, preferred: str
) -> Iterator[Sequence[Offer]]:
    """The files that a form brings, or the one that its field ``checksum`` names.

    ``name``, of the request's path, is for a file that has none. Use it within `receiving`.
    """
    if not asked.files and asked.parameter("checksum") and asked.option("filename"):
        path = UploadPath.parse(asked.option("filename"), below=asked.option("path"))
        with kept_offer(asked, ingest, path, preferred=preferred) as offer:
            yield [offer]
        return
    if not asked.is_multipart:
        raise nameless(asked)
    folder = safe_folder(asked.option("path"))
    expected = expected_digests(asked, preferred=preferred)
    yield [
        Offer(
            part.content,
            part.filename or name,
            folder,
            (*expected, *digests_of_part(part.headers)),
        )
        for part in asked.files_in("file")
    ]
