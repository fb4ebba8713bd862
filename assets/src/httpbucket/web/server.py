"""What concerns the server as a whole: what it is, its configuration, whether it lives."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template

from httpbucket.web.current import current_request
from httpbucket.web.presenters import Presenter


def blueprint(*, present: Presenter) -> Blueprint:
    """The routes of the server itself."""
    routes = Blueprint("server", __name__)

    @routes.get("/")
    def index() -> Response:
        if current_request().prefers_html:
            page = render_template("index.html", settings=present.settings)
            return Response(page, headers={"Vary": "Accept"})
        return Response("http-bucket server\n", mimetype="text/plain", headers={"Vary": "Accept"})

    @routes.get("/config")
    def config() -> Response:
        return jsonify(present.configuration())

    @routes.get("/ping")
    def ping() -> Response:
        return Response("pong\n", mimetype="text/plain")

    return routes
