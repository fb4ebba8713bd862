"""Every refusal has one form, and none tells where things lie on the server."""

from __future__ import annotations

from html import escape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from httpbucket.domain import errors
from httpbucket.domain.unpacking import LimitExceeded
from httpbucket.web.errors import STATUSES, phrase_of
from tests.web.conftest import MakeSite, Site
from tests.web.forms import part, post, upload

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

#: What an operator reads at start, or the program to itself; no request meets it.
NEVER_ANSWERED = {
    *(errors.BucketError, errors.InvalidSettings, errors.UnusableStore, errors.UnusableAddress),
    errors.NotTakenOver,
}


def every_error() -> set[type[errors.BucketError]]:
    """The base of all refusals and, wherever they are, all classes below it."""
    found = {errors.BucketError}
    while more := {one for kind in found for one in kind.__subclasses__()} - found:
        found |= more
    return found


def raising(site: Site, error: Exception) -> FlaskClient:
    """The site with one more route, which raises ``error``."""

    def view() -> str:
        raise error

    site.app.add_url_rule("/raise", view_func=view)
    return site.client


def test_every_error_has_a_status_or_is_never_answered() -> None:
    for error in every_error():
        is_answered = not STATUSES.keys().isdisjoint(error.__mro__)
        assert (error, is_answered) == (error, error not in NEVER_ANSWERED)


def test_problems_are_distinct_and_made_of_words() -> None:
    problems = [error.problem for error in every_error()]
    assert len(set(problems)) == len(problems)
    assert all(problem.replace("-", "").islower() for problem in problems)


@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.__name__)
class TestEveryRefusal:
    def error(self, kind: type[errors.BucketError]) -> errors.BucketError:
        if kind is errors.TooLarge:
            return errors.TooLarge(5)
        if issubclass(kind, LimitExceeded):
            return kind("UNPACK_MAX_BYTES", 5, "A sentence")
        if kind is errors.NameNotFound:
            return errors.NameNotFound("archive/x")
        if kind is errors.PendingTreeNotFound:
            return errors.PendingTreeNotFound("x")
        return kind("A sentence.", number=7)

    def test_is_json_for_programs(self, site: Site, kind: type[errors.BucketError]) -> None:
        error = self.error(kind)
        response = raising(site, error).get("/raise")
        status = STATUSES[kind]
        assert response.status_code == status
        assert response.get_json() == {
            "status": phrase_of(status),
            "code": int(status),
            "error": str(error),
            "problem": kind.problem,
            "detail": error.detail,
        }
        assert response.headers["Cache-Control"] == "no-store"
        assert ("Retry-After" in response.headers) is (status in {423, 503, 507})

    def test_is_a_page_for_browsers(self, site: Site, kind: type[errors.BucketError]) -> None:
        error = self.error(kind)
        response = raising(site, error).get("/raise", headers=BROWSER)
        assert (response.status_code, response.mimetype) == (STATUSES[kind], "text/html")
        assert escape(str(error), quote=True).replace("&#x27;", "&#39;") in response.text
        assert kind.problem in response.text


class TestWhatHttpItselfRefuses:
    @pytest.mark.parametrize("path", ["/nothing", "/uploads/", "/%00", "/..%2f..%2fetc"])
    def test_an_unknown_path(self, client: FlaskClient, path: str) -> None:
        response = client.get(path)
        assert response.status_code == 404
        assert response.get_json()["status"] == "not found"
        assert response.get_json()["problem"] == "not-found"
        assert "POST /upload" in response.get_json()["error"]

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("DELETE", "/upload", {"GET", "HEAD", "OPTIONS", "POST", "PUT"}),
            ("PUT", "/config", {"GET", "HEAD", "OPTIONS"}),
            ("POST", "/", {"GET", "HEAD", "OPTIONS"}),
            ("POST", "/checksum/" + "0" * 32, {"GET", "HEAD", "OPTIONS"}),
            ("PATCH", "/blob/" + "0" * 64, {"GET", "HEAD", "OPTIONS"}),
            ("BREW", "/ping", {"GET", "HEAD", "OPTIONS"}),
        ],
    )
    def test_a_method_that_is_not_there(
        self, client: FlaskClient, method: str, path: str, allowed: set[str]
    ) -> None:
        response = client.open(path, method=method)
        assert response.status_code == 405
        assert response.get_json()["problem"] == "method-not-allowed"
        assert set(response.headers["Allow"].split(", ")) == allowed
        assert ", ".join(sorted(allowed)) in response.get_json()["error"]

    @pytest.mark.parametrize("host", ["a..b:80", ".", "x" * 64])
    @pytest.mark.parametrize("path", ["/checksum/" + "0" * 64, "/archive", "/nothing"])
    @pytest.mark.parametrize("method", ["HEAD", "GET", "PUT"])
    def test_a_host_that_is_none(
        self,
        client: FlaskClient,
        caplog: pytest.LogCaptureFixture,
        method: str,
        path: str,
        host: str,
    ) -> None:
        for headers in ({"Host": host}, {"Host": host, **BROWSER}):
            assert client.open(path, method=method, headers=headers).status_code == 400
        assert caplog.text == ""

    def test_a_host_that_is_none_in_words(self, client: FlaskClient) -> None:
        refusal = client.get("/ping", headers={"Host": "a..b"}).get_json()
        assert refusal["problem"] == "bad-request"
        assert "The host of this request is none" in refusal["error"]

    @pytest.mark.parametrize("upload_id", ["x", "20261121T143205.812Z-9f3c1a77d0e4b256"])
    def test_an_unknown_upload(self, client: FlaskClient, upload_id: str) -> None:
        response = client.get(f"/uploads/{upload_id}")
        assert response.status_code == 404
        assert response.get_json()["problem"] == "upload-not-found"


class TestWhatNobodyExpected:
    def test_is_told_without_saying_what(self, site: Site) -> None:
        response = raising(site, RuntimeError("/secret/path")).get("/raise")
        assert (response.status_code, response.get_json()["problem"]) == (500, "internal-error")
        assert "secret" not in response.text
        assert "Traceback" not in response.text

    def test_is_logged(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        raising(site, RuntimeError("the reason")).get("/raise")
        assert "the reason" in caplog.text


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "nonsense", ";;,,q="])
def test_programs_get_json_whatever_they_accept(client: FlaskClient, accept: str) -> None:
    assert client.get("/nothing", headers={"Accept": accept}).is_json


def test_words_from_outside_are_escaped_in_pages(client: FlaskClient) -> None:
    page = client.get("/uploads/<script>alert(1)</script>", headers=BROWSER)
    assert "<script>alert" not in page.text


def test_no_answer_but_the_configuration_shows_a_path_of_the_server(
    make_site: MakeSite, client: FlaskClient
) -> None:
    root = client.get("/config").get_json()["ARCHIVE_DIR"]
    answers = [
        *(client.get(path, headers=BROWSER) for path in ("/", "/upload", "/nothing", "/ping")),
        *(client.get(path) for path in ("/", "/nothing", "/checksum/x", "/checksum/" + "0" * 32)),
        *(client.get(path) for path in ("/blob/x", "/uploads/x", "/static/../../config.py")),
        upload(client, b"content"),
        upload(client, b"content", "../../etc/passwd"),
        upload(client, b"x" * 5000),
        post(client, part(b"x"), closing=b""),
        post(client),
    ]
    for answer in answers:
        shown = answer.text + str(answer.headers)
        assert root not in shown
        assert "/site-packages" not in shown


def test_every_route_that_shows_something_answers_get_head_and_options(site: Site) -> None:
    receipt = upload(site.client, b"content").get_json()
    values: dict[str, Any] = {
        "upload": receipt["upload"]["id"],
        "digest": receipt["upload"]["digests"]["sha256"],
        "first": receipt["upload"]["digests"]["sha256"][:2],
        "second": receipt["upload"]["digests"]["sha256"][2:4],
        "filename": "style.css",
        "token": receipt["undo"].rpartition("/")[2],
        # A directory of the archive; nothing below /replica/ is called so.
        "path": "2026/",
        "tree": pending_tree(site),
    }
    # What takes nothing but lists has nothing to show.
    paths = set(every_path(site.app, values)) - {"/replica/2026/", "/checksum", "/tree"}
    # The protocol of resumable uploads has its own rules.
    paths = {path for path in paths if not path.startswith("/tus/")}
    assert len(paths) >= 9
    for path in paths:
        assert site.client.get(path, buffered=True).status_code in {200, 202, 302}, path
        head = site.client.head(path, buffered=True)
        assert head.status_code in {200, 202, 302}, path
        assert head.data == b""
        options = site.client.options(path)
        assert (options.status_code, options.data) == (200, b"")
        assert {"GET", "HEAD", "OPTIONS"} <= set(options.headers["Allow"].split(", "))


def pending_tree(site: Site) -> str:
    """The id of a tree that lacks a file."""
    answer = site.client.post("/tree?name=t", data=b"0" * 64 + b"  a")
    return answer.headers["Location"].rpartition("/")[2]


def every_path(app: Flask, values: dict[str, Any]) -> list[str]:
    """A path of each route that takes GET."""
    with app.test_request_context():
        return [
            app.url_for(rule.endpoint, **{name: values[name] for name in rule.arguments})
            for rule in app.url_map.iter_rules()
            if "GET" in (rule.methods or ())
        ]
