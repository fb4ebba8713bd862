"""``/upload``: files in, receipts out."""

from __future__ import annotations

from flask import Blueprint, Response, render_template

from httpbucket.domain.errors import TooLarge
from httpbucket.domain.template import named_headers
from httpbucket.domain.unpacking import UnpackWish
from httpbucket.services.ingest import Ingest, Offer, Terms
from httpbucket.web.addresses import Addresses
from httpbucket.web.current import current_request
from httpbucket.web.policies import script_policy
from httpbucket.web.receipts import Receipts
from httpbucket.web.request import TREE, BucketRequest, receiving


def blueprint(*, ingest: Ingest, receipts: Receipts, addresses: Addresses) -> Blueprint:
    """The routes by which files come."""
    routes = Blueprint("ways_in", __name__)

    @routes.get("/upload")
    def form() -> Response:
        settings = receipts.present.settings
        page = render_template(
            "upload.html",
            settings=settings,
            # As people write them: ``Build-Id``.
            fields=[header.title() for header in named_headers(settings.templates)],
            too_large=TooLarge(settings.max_content_length),
        )
        policy = script_policy(addresses.content_source)
        return Response(page, headers={"Content-Security-Policy": policy})

    @routes.post("/upload")
    def upload() -> Response:
        asked = current_request()
        with receiving(asked, ingest):
            offers = [Offer(part.content, part.filename) for part in asked.files_in("file")]
            terms = terms_of(asked, ingest)
            name = asked.parameter(TREE)
            if name := asked.parameter(TREE):
                return receipts.answer(asked, ingest.keep_tree(name, offers, terms))
            return receipts.answer(asked, *ingest.keep_all(offers, terms))

    return routes


def terms_of(asked: BucketRequest, ingest: Ingest) -> Terms:
    """What the client says in headers, query and fields; read the files first."""
    return Terms(
        wish=UnpackWish.parse(asked.parameter("Unpack")),
        headers=asked.chosen(ingest.headers),
        is_gone=asked.is_client_gone,
    )
