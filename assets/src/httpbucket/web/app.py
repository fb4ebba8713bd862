"""The Flask application, made from services that are given to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import cast

from flask import Blueprint, Flask, Request, Response
from werkzeug.exceptions import BadHost
from werkzeug.routing import MapAdapter

from httpbucket.config import Settings
from httpbucket.domain.size import show_size
from httpbucket.services.product import Services
from httpbucket.services.view import text_line, text_lines
from httpbucket.web import (
    abilities,
    blobs,
    checksums,
    deletions,
    errors,
    search,
    server,
    shelves,
    trees,
    tus,
    uploads,
    ways_in,
)
from httpbucket.web.addresses import Addresses, stay_here
from httpbucket.web.content import ContentSender
from httpbucket.web.cross_site import refuser
from httpbucket.web.directories import Directories
from httpbucket.web.file_pages import FilePages, is_viewable_blob
from httpbucket.web.policies import page_policy
from httpbucket.web.presenters import Presenter
from httpbucket.web.proxies import TrustedProxies
from httpbucket.web.readable_json import ReadableJson
from httpbucket.web.receipts import Receipts
from httpbucket.web.request import BucketRequest


class BucketApp(Flask):
    """Flask with our requests, and without its routes for static files of others."""

    request_class = BucketRequest
    json_provider_class = ReadableJson

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Makes links; also those of the page that refuses a host which is none."""
        try:
            return super().create_url_adapter(request)
        except BadHost as error:
            asked = cast(BucketRequest, request)
            asked.bad_host = error
            return self.url_map.bind_to_environ(asked.environ | {"HTTP_HOST": ""}, subdomain="")


def create_app(settings: Settings, services: Services) -> Flask:
    """The application; it holds no state beside its services."""
    app = BucketApp("httpbucket.web", static_folder="static", template_folder="templates")
    app.config["MAX_FORM_PARTS"] = settings.unpack_max_members
    app.wsgi_app = TrustedProxies(  # type: ignore[method-assign]
        app.wsgi_app, settings.trusted_proxies
    )
    addresses = Addresses(settings)
    for routes in _blueprints(settings, services, addresses):
        app.register_blueprint(routes)
    errors.register(app)
    app.before_request(errors.refuse_bad_host)
    app.before_request(addresses.separate)
    app.before_request(refuser(addresses))
    abilities.register(app, settings.anonymous)
    app.after_request(_protection(page_policy(addresses.content_source)))
    app.after_request(stay_here)
    app.after_request(checksums.without_body)
    _add_filters(app)
    app.add_template_global(addresses.absolute, "absolute")
    app.add_template_global(addresses.content, "content")
    return app


def _blueprints(
    settings: Settings, services: Services, addresses: Addresses
) -> Iterator[Blueprint]:
    """The routes, a blueprint for each subject."""
    present, checksum_type = Presenter(settings), settings.checksum_type
    browse, lookup = services.browse, services.lookup
    sender = ContentSender(cors=settings.content_cors)
    yield server.blueprint(search=services.searching, stats=services.stats, present=present)
    yield search.blueprint(search=services.searching, present=present)
    receipts = Receipts(present, services.undo)
    yield ways_in.blueprint(ingest=services.ingest, receipts=receipts, addresses=addresses)
    yield trees.blueprint(services=services, receipts=receipts)
    yield tus.blueprint(resume=services.resume, receipts=receipts)
    yield deletions.blueprint(
        delete=services.delete, mark=services.mark, undo=services.undo, present=present
    )
    yield uploads.blueprint(browse=browse, present=present, addresses=addresses)
    yield checksums.blueprint(
        ask=services.ask, ask_many=services.ask_many, checksum_type=checksum_type
    )
    yield blobs.blueprint(lookup=lookup, browse=browse, sender=sender, checksum_type=checksum_type)
    yield shelves.blueprint(
        browse=browse,
        directories=Directories(browse=browse, pack=services.pack, addresses=addresses),
        pages=FilePages(browse=browse, addresses=addresses),
        sender=sender,
    )


def _add_filters(app: Flask) -> None:
    app.add_template_filter(show_size, "size")
    app.add_template_filter(_show_moment, "moment")
    app.add_template_filter(_count_of, "count_of")
    app.add_template_filter(_show_amount, "amount")
    app.add_template_filter(text_line, "seen")
    app.add_template_filter(text_lines, "terminal")
    app.add_template_test(is_viewable_blob, "viewable")


def _protection(policy: str) -> Callable[[Response], Response]:
    def protect(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("Referrer-Policy", "same-origin")
        return response

    return protect


def _show_moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _show_amount(amount: int) -> str:
    return f"{amount:,}"


def _count_of(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count:,} {thing}s"
