"""What shells get: one line with the address, or variables that can be evaluated as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.examples import identity
from tests.tools import require_tool
from tests.web.conftest import MakeSite, Site

NASTY = [
    "results.xml",
    "a b;touch HACKED.txt",
    "$(touch HACKED).txt",
    "`touch HACKED`.txt",
    "'; touch HACKED; '.txt",
    '"; touch HACKED; ".txt',
    "~root:~root.txt",
    "x\ny=z.txt",
    "*?[a].txt",
    "%0a%24(touch HACKED)",
    "日本語.txt",
    "a&b|c<d>e(f){g}!h#i\\.txt",
]


def ask(client: FlaskClient, name: str, accept: str, query: str = "") -> TestResponse:
    address = f"/upload{query or '?'}&filename={quote(name, safe='')}"
    response = client.post(address, data=b"content", headers={"Accept": accept})
    assert response.status_code == 200, response.text
    return response


def upload_of(site: Site) -> str:
    (upload,) = site.stores.records.ids()
    return str(upload)


class TestNegotiation:
    @pytest.mark.parametrize(
        "accept", ["*/*", "application/json", "application/json, text/plain, */*"]
    )
    def test_who_accepts_everything_gets_json(self, client: FlaskClient, accept: str) -> None:
        assert ask(client, "x", accept).mimetype == "application/json"

    @pytest.mark.parametrize(
        "accept", ["text/html, text/plain, */*;q=0.01", "text/html,application/xml;q=0.9,*/*;q=0.8"]
    )
    def test_a_browser_gets_the_page(self, client: FlaskClient, accept: str) -> None:
        response = client.put("/upload/x", data=b"x", headers={"Accept": accept})
        assert response.status_code == 303

    @pytest.mark.parametrize(
        ("accept", "query"),
        [("text/plain", ""), ("*/*", "?format=url"), ("text/html", "?format=URL")],
    )
    def test_one_line_with_the_address(self, site: Site, accept: str, query: str) -> None:
        response = ask(site.client, "a/b c.txt", accept, query)
        assert response.content_type == "text/plain; charset=utf-8"
        assert "Accept" in response.vary
        day = f"archive/2026/11/21/{upload_of(site)}"
        assert response.text == f"http://localhost/{day}/a/b%20c.txt\n"

    @pytest.mark.parametrize(("accept", "query"), [("text/x-env", ""), ("*/*", "?format=env")])
    def test_variables(self, site: Site, accept: str, query: str) -> None:
        response = ask(site.client, "x.txt", accept, query)
        upload = upload_of(site)
        assert response.mimetype == "text/x-env"
        assert response.text == (
            f"BUCKET_SHA256={identity(b'content').hex}\n"
            f"BUCKET_URL=http://localhost/archive/2026/11/21/{upload}/x.txt\n"
            f"BUCKET_UPLOAD={upload}\n"
            f"BUCKET_PAGE=http://localhost/uploads/{upload}\n"
        )

    def test_the_query_wins(self, client: FlaskClient) -> None:
        assert ask(client, "x", "text/plain", "?format=json").mimetype == "application/json"
        assert ask(client, "x", "text/html", "?format=json").mimetype == "application/json"

    def test_the_address_is_where_the_archive_is_shown(self, make_site: MakeSite) -> None:
        client = make_site(ARCHIVE_URI="https://files.example/bucket").client
        line = ask(client, "x.txt", "text/plain").text
        assert line.startswith("https://files.example/bucket/archive/2026/11/21/")

    def test_a_form_that_there_is_not_is_refused_before_anything_is_kept(self, site: Site) -> None:
        response = site.client.put("/upload/x?format=xml", data=b"x")
        assert (response.status_code, response.get_json()["problem"]) == (400, "invalid-format")
        assert list(site.stores.records.ids()) == []


@pytest.mark.parametrize("name", NASTY)
class TestSafety:
    def test_a_shell_can_evaluate_the_variables(
        self, client: FlaskClient, name: str, tmp_path: Path
    ) -> None:
        text = ask(client, name, "text/x-env").text
        for shell in (["sh"], ["bash"], ["busybox", "sh"]):
            script = 'eval "$1"; printf "%s\\n" "$BUCKET_SHA256" "$BUCKET_URL" "$BUCKET_UPLOAD"'
            shown = subprocess.run(
                [require_tool(shell[0]), *shell[1:], "-euc", script, "sh", text],
                cwd=tmp_path,
                check=True,
                capture_output=True,
                text=True,
            )
            expected = [line.partition("=")[2] for line in text.splitlines()[:3]]
            assert (shown.stdout.splitlines(), shown.stderr) == (expected, "")
        assert list(tmp_path.iterdir()) == []

    def test_each_variable_is_one_line_and_leads_to_the_file(
        self, client: FlaskClient, name: str
    ) -> None:
        lines = ask(client, name, "text/x-env").text.splitlines()
        values = dict(line.split("=", 1) for line in lines)
        assert [*values] == ["BUCKET_SHA256", "BUCKET_URL", "BUCKET_UPLOAD", "BUCKET_PAGE"]
        path = values["BUCKET_URL"].removeprefix("http://localhost")
        assert client.get(path).data == b"content"

    def test_the_line_leads_to_the_file(self, client: FlaskClient, name: str) -> None:
        line = ask(client, name, "text/plain").text
        assert line.count("\n") == 1
        assert client.get(line.strip().removeprefix("http://localhost")).data == b"content"


class TestRefusals:
    def test_who_asks_for_text_is_told_in_one_line(self, client: FlaskClient) -> None:
        response = client.put("/upload/", data=b"x", headers={"Accept": "text/plain"})
        assert (response.status_code, response.mimetype) == (400, "text/plain")
        assert response.text == (
            "400 empty-filename: The file has no name; send it for example with "
            "curl -T results.xml http://localhost/upload/\n"
        )

    def test_who_asks_for_variables_gets_some_that_are_safe(self, client: FlaskClient) -> None:
        response = client.put("/upload/", data=b"x", headers={"Accept": "text/x-env"})
        assert (response.status_code, response.mimetype) == (400, "text/x-env")
        assert response.text == "BUCKET_CODE=400\nBUCKET_PROBLEM=empty-filename\n"

    def test_a_browser_is_told_on_a_page(self, client: FlaskClient) -> None:
        response = client.put("/upload/", data=b"x", headers={"Accept": "text/html"})
        assert (response.status_code, response.mimetype) == (400, "text/html")
