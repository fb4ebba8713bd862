"""What concerns the server as a whole: what it is, its configuration, whether it lives."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template

from httpbucket.domain.template import named_headers
from httpbucket.services.search import Search
from httpbucket.services.stats import Stats
from httpbucket.web.current import current_request
from httpbucket.web.presenters import Presenter
from httpbucket.web.search import find, is_searching, next_query

#: Uploads on a page.
RECENT_UPLOADS = 25


def blueprint(*, search: Search, stats: Stats, present: Presenter) -> Blueprint:
    """The routes of the server itself."""
    routes = Blueprint("server", __name__)

    @routes.get("/")
    def index() -> Response:
        if current_request().prefers_html:
            return Response(recent_uploads(), headers={"Vary": "Accept"})
        return Response("http-bucket server\n", mimetype="text/plain", headers={"Vary": "Accept"})

    def recent_uploads() -> str:
        settings = present.settings
        found = find(search, settings.checksum_type, limit=RECENT_UPLOADS)
        return render_template(
            "index.html",
            settings=settings,
            found=found,
            # Who looks for something is not stopped by what everybody sees at first.
            holdings=None if is_searching() or _goes_on() else stats.holdings(),
            following=next_query(found),
            is_searching=is_searching(),
            headers=named_headers(settings.templates),
        )

    @routes.get("/config")
    def config() -> Response:
        return jsonify(present.configuration())

    @routes.get("/stats")
    def holdings() -> Response:
        answer = jsonify(stats.holdings().to_json())
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @routes.get("/ping")
    def ping() -> Response:
        return Response("pong\n", mimetype="text/plain")

    return routes


def _goes_on() -> bool:
    return bool(current_request().args.get("cursor"))
