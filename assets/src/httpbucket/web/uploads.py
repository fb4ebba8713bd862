"""``/uploads/<id>``: what is known of one upload."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, jsonify, render_template

from httpbucket.domain.upload import UploadId
from httpbucket.services.browse import Browse
from httpbucket.web.current import current_request
from httpbucket.web.presenters import Presenter
from httpbucket.web.receipts import with_page


def blueprint(*, browse: Browse, present: Presenter) -> Blueprint:
    """The routes of uploads that are kept."""
    routes = Blueprint("uploads", __name__)

    @routes.get("/uploads/<upload>")
    def show(upload: str) -> Response:
        record = browse.upload(UploadId.parse(upload))
        asked = current_request()
        shown = with_page(asked, present.upload(record))
        if asked.prefers_html and "json" not in asked.args:
            directory = f"{asked.script_root}/{quote(record.place)}/"
            page = render_template(
                "show_upload.html",
                record=record,
                shown=shown,
                directory=directory,
                address=asked.address_of(f"{record.place}/"),
            )
            return Response(page, headers={"Vary": "Accept"})
        answer = jsonify(shown)
        answer.vary.add("Accept")
        return answer

    return routes
