"""``/uploads/<id>``: what is known of one upload."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, jsonify, render_template

from httpbucket.domain.public_path import PublicPath
from httpbucket.domain.upload import Record, UploadId
from httpbucket.services.browse import Browse
from httpbucket.services.entrance import Entrance, entrance
from httpbucket.web.addresses import Addresses
from httpbucket.web.current import current_request
from httpbucket.web.presenters import Presenter
from httpbucket.web.receipts import with_page


def blueprint(*, browse: Browse, present: Presenter, addresses: Addresses) -> Blueprint:
    """The routes of uploads that are kept."""
    routes = Blueprint("uploads", __name__)

    @routes.get("/uploads/<upload>")
    def show(upload: str) -> Response:
        record = browse.upload(UploadId.parse(upload))
        asked = current_request()
        shown = with_page(asked.base, present.upload(record))
        if asked.prefers_html and "json" not in asked.args:
            directory = f"{asked.script_root}/{quote(record.place)}/"
            page = render_template(
                "show_upload.html",
                record=record,
                shown=shown,
                directory=directory,
                entrance=_entrance(browse, record),
                files=addresses.content(f"{record.place}/"),
                address=asked.address_of(f"{record.place}/"),
            )
            return Response(page, headers={"Vary": "Accept"})
        answer = jsonify(shown)
        answer.vary.add("Accept")
        return answer

    return routes


def _entrance(browse: Browse, record: Record) -> Entrance | None:
    """Where the upload's tree is entered, if it has one."""
    if record.tree is None:
        return None
    return entrance(browse, PublicPath.parse(record.path_of(record.tree.name)))
