"""The Flask application, made from services that are given to it."""

from __future__ import annotations

from datetime import datetime

from flask import Flask, Response

from httpbucket.config import Settings
from httpbucket.domain.size import show_size
from httpbucket.services.browse import Browse
from httpbucket.services.ingest import Ingest
from httpbucket.services.lookup import Lookup
from httpbucket.services.offer_tree import OfferTree
from httpbucket.services.pack import Pack
from httpbucket.services.receive_members import ReceiveMembers
from httpbucket.services.search import Search
from httpbucket.services.view import text_line, text_lines
from httpbucket.web import (
    blobs,
    checksums,
    errors,
    search,
    server,
    shelves,
    trees,
    uploads,
    ways_in,
)
from httpbucket.web.content import ContentSender
from httpbucket.web.cross_site import refuse_other_sites
from httpbucket.web.directories import Directories
from httpbucket.web.file_pages import FilePages, is_viewable_blob
from httpbucket.web.presenters import Presenter
from httpbucket.web.receipts import Receipts
from httpbucket.web.request import BucketRequest

#: For our own pages; contents bring a stricter one.
PAGE_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


class BucketApp(Flask):
    """Flask with our requests, and without its routes for static files of others."""

    request_class = BucketRequest


def create_app(
    settings: Settings,
    *,
    ingest: Ingest,
    offer_tree: OfferTree,
    members: ReceiveMembers,
    lookup: Lookup,
    browse: Browse,
    pack: Pack,
    searching: Search,
) -> Flask:
    """The application; it holds no state beside its services."""
    app = BucketApp("httpbucket.web", static_folder="static", template_folder="templates")
    app.config["MAX_FORM_PARTS"] = settings.unpack_max_members
    app.json.sort_keys = False  # type: ignore[attr-defined]
    # Receipts are read by people as often as by programs.
    app.json.compact = False  # type: ignore[attr-defined]
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    present = Presenter(settings)
    sender = ContentSender(cors=settings.content_cors)
    directories = Directories(browse=browse, pack=pack)
    app.register_blueprint(server.blueprint(search=searching, present=present))
    app.register_blueprint(search.blueprint(search=searching, present=present))
    receipts = Receipts(present)
    app.register_blueprint(ways_in.blueprint(ingest=ingest, receipts=receipts))
    app.register_blueprint(
        trees.blueprint(offer_tree=offer_tree, members=members, ingest=ingest, receipts=receipts)
    )
    app.register_blueprint(uploads.blueprint(browse=browse, present=present))
    checksum_type = settings.checksum_type
    app.register_blueprint(checksums.blueprint(lookup=lookup, checksum_type=checksum_type))
    app.register_blueprint(
        blobs.blueprint(lookup=lookup, browse=browse, sender=sender, checksum_type=checksum_type)
    )
    pages = FilePages(browse=browse)
    app.register_blueprint(
        shelves.blueprint(browse=browse, directories=directories, pages=pages, sender=sender)
    )
    errors.register(app)
    app.before_request(refuse_other_sites)
    app.after_request(_protect)
    app.after_request(checksums.without_body)
    app.add_template_filter(show_size, "size")
    app.add_template_filter(_show_moment, "moment")
    app.add_template_filter(_count_of, "count_of")
    app.add_template_filter(text_line, "seen")
    app.add_template_filter(text_lines, "terminal")
    app.add_template_test(is_viewable_blob, "viewable")
    return app


def _protect(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response


def _show_moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _count_of(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
