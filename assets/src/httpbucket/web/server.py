"""What concerns the server as a whole: what it is, its configuration, whether it lives."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template

from httpbucket.services.browse import Browse
from httpbucket.web.current import current_request
from httpbucket.web.presenters import Presenter

#: Uploads on a page.
RECENT_UPLOADS = 25


def blueprint(*, browse: Browse, present: Presenter) -> Blueprint:
    """The routes of the server itself."""
    routes = Blueprint("server", __name__)

    @routes.get("/")
    def index() -> Response:
        if current_request().prefers_html:
            before = current_request().args.get("before", "")
            recent = browse.uploads(before=before, limit=RECENT_UPLOADS)
            page = render_template(
                "index.html", settings=present.settings, recent=recent, page_size=RECENT_UPLOADS
            )
            return Response(page, headers={"Vary": "Accept"})
        return Response("http-bucket server\n", mimetype="text/plain", headers={"Vary": "Accept"})

    @routes.get("/config")
    def config() -> Response:
        return jsonify(present.configuration())

    @routes.get("/ping")
    def ping() -> Response:
        return Response("pong\n", mimetype="text/plain")

    return routes
