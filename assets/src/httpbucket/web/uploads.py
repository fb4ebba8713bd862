"""``/upload`` and ``/uploads/…``: files in, receipts out."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, Response, jsonify, render_template, url_for

from httpbucket.domain.errors import TooLarge
from httpbucket.domain.template import ReplicaTemplate
from httpbucket.domain.unpacking import UnpackWish
from httpbucket.domain.upload import UploadId
from httpbucket.services.browse import Browse
from httpbucket.services.ingest import Ingest
from httpbucket.web.addresses import Addresses
from httpbucket.web.current import current_request
from httpbucket.web.policies import script_policy
from httpbucket.web.presenters import Presenter
from httpbucket.web.request import receiving


def blueprint(
    *, ingest: Ingest, browse: Browse, present: Presenter, addresses: Addresses
) -> Blueprint:
    """The routes of uploads."""
    routes = Blueprint("uploads", __name__)

    @routes.get("/upload")
    def form() -> Response:
        settings = present.settings
        page = render_template(
            "upload.html",
            settings=settings,
            fields=_fields(settings.templates),
            too_large=TooLarge(settings.max_content_length),
        )
        policy = script_policy(addresses.content_source)
        return Response(page, headers={"Content-Security-Policy": policy})

    @routes.post("/upload")
    def upload() -> Response:
        asked = current_request()
        with receiving(asked, ingest):
            incoming, filename = asked.single_file("file")
            wish = UnpackWish.parse(asked.parameter("Unpack"))
            receipt = ingest.keep(
                incoming,
                filename,
                wish=wish,
                headers=asked.chosen(ingest.headers),
                is_gone=asked.is_client_gone,
            )
        if asked.prefers_html:
            page = url_for("uploads.show", upload=str(receipt.record.id))
            return Response(status=303, headers={"Location": page})
        return jsonify(present.receipt(receipt))

    @routes.get("/uploads/<upload>")
    def show(upload: str) -> Response:
        record = browse.upload(UploadId.parse(upload))
        shown = present.upload(record)
        asked = current_request()
        if asked.prefers_html and "json" not in asked.args:
            directory = f"{asked.script_root}/{record.id.directory}/"
            page = render_template(
                "show_upload.html",
                record=record,
                shown=shown,
                directory=directory,
                files=addresses.content(f"{record.id.directory}/"),
                address=addresses.absolute(f"{record.id.directory}/"),
            )
            return Response(page, headers={"Vary": "Accept"})
        answer = jsonify(shown)
        answer.vary.add("Accept")
        return answer

    return routes


def _fields(templates: Iterable[ReplicaTemplate]) -> list[str]:
    """The headers that templates name, each once, as people write them: ``Build-Id``."""
    headers = (header for template in templates for header in template.headers)
    return [header.title() for header in dict.fromkeys(headers)]
