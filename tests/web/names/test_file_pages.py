"""``?view``: what a file's page shows, and that it shows it as text."""

from __future__ import annotations

import gzip
import html
import re

import pytest
from werkzeug.test import TestResponse

from httpbucket.services import view
from tests.builders import tar, tar_member
from tests.content.test_junit import LAUGHS, REPORT
from tests.web.names.conftest import NewSite
from tests.web.names.site import Site
from tests.web.names.test_pages import EVIL, page

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0"
SCRIPT = b"<script>alert(1)</script><img src=x onerror=alert(1)>\"'"


@pytest.fixture(params=[True, False], ids=["memory", "local"])
def site(request: pytest.FixtureRequest, new_site: NewSite) -> Site:
    return new_site(in_memory=request.param, environ={"MAX_CONTENT_LENGTH": "8mb"})


def kept(site: Site, content: bytes, name: str) -> str:
    """The path of a file in a tree."""
    members = tar(tar_member("sub/x.txt", b"x"), tar_member(name, content))
    receipt = site.upload(gzip.compress(members), "t.tgz")
    return f"/{receipt['path']['archive']}/{name}"


def answer_of(site: Site, content: bytes, name: str, query: str = "?view") -> TestResponse:
    answer = site.get(kept(site, content, name).replace("?", "%3F") + query)
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self';")
    assert "Access-Control-Allow-Origin" not in answer.headers
    return answer


def shown(site: Site, content: bytes, name: str, query: str = "?view") -> str:
    """The page, which holds nothing that acts."""
    text = answer_of(site, content, name, query).get_data().decode()
    assert not re.search(r"<script|<[^>]*\s(on\w+|style)=", text)
    return text


def lines(text: str) -> list[str]:
    """The text of a page's lines, without their looks."""
    found = re.findall(r"<code>(.*?)\n</code></div>", text, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]*>", "", line)) for line in found]


def test_a_text_has_numbered_lines_with_links(site: Site) -> None:
    text = shown(site, b"one\n\nthree  \tx", "a.log")
    assert lines(text) == ["one", "", "three  \tx"]
    assert '<div class="line" id="L3"><a href="#L3">3</a>' in text
    assert '<a class="button" href="a.log">Open the file</a>' in text
    assert '<a href="./">t</a>' in text


def test_colours_of_a_terminal_are_classes(site: Site) -> None:
    text = shown(site, b"\x1b[1;31mFAIL\x1b[0m <b>", "a.log")
    assert '<span class="ink1 bold">FAIL</span> &lt;b&gt;' in text


@pytest.mark.parametrize("name", ["a.txt", "a.html", "a.log", "a.json", "a.xml", "a.js"])
def test_what_was_uploaded_is_shown_as_text(site: Site, name: str) -> None:
    assert lines(shown(site, SCRIPT, name)) == [SCRIPT.decode()]


@pytest.mark.parametrize("name", [EVIL, "a?b#c%41.log", "ünï & 'x'.log"])
def test_a_name_is_shown_as_text_and_leads_to_the_file(site: Site, name: str) -> None:
    path = kept(site, b"hello", name).replace("%", "%25").replace("?", "%3F").replace("#", "%23")
    text = site.get(f"{path}?view").get_data().decode()
    assert "<img" not in text
    assert (
        f'<h1 class="name">{html.escape(name)}</h1>'.replace("&quot;", "&#34;").replace(
            "&#x27;", "&#39;"
        )
        in text
    )
    (href,) = re.findall(r'<a class="button" href="([^"]+)">', text)
    assert site.get(f"{path.rpartition('/')[0]}/{href}").get_data() == b"hello"


def test_bidi_and_control_characters_are_made_visible(site: Site) -> None:
    text = shown(site, "a\u202eb\x08c\rd".encode(), "a.log")
    assert lines(text) == ["aU+202Eb␈c␍d"]
    assert "\u202e" not in text


def test_bytes_that_are_no_utf_8_are_shown_as_numbers(site: Site) -> None:
    text = shown(site, b"caf\xe9 \xff", "a.log")
    assert lines(text) == ["caf\\xe9 \\xff"]
    assert "What is not UTF-8" in text


def test_a_byte_order_mark_is_followed(site: Site) -> None:
    assert lines(shown(site, "\ufeffhé\n".encode("utf-16-le"), "a.txt")) == ["hé"]
    assert lines(shown(site, "\ufeffhé\n".encode(), "b.txt")) == ["hé"]


def test_a_huge_line_and_very_many_lines_are_cut(site: Site) -> None:
    text = shown(site, b"x" * 1_000_000, "a.txt")
    assert "… 990,000 more characters" in text
    assert len(text) < 20_000
    text = shown(site, b"\n" * 1_000_000, "b.txt")
    assert len(lines(text)) == view.MOST_LINES
    assert "Only the first 50,000 lines are shown." in text


def test_a_larger_file_is_offered_as_it_is(site: Site) -> None:
    text = shown(site, b"x" * (view.MOST_BYTES + 1), "a.txt")
    assert "The file is larger than 2" in text
    assert 'href="a.txt">Open the file' in text
    assert lines(text) == []
    assert lines(shown(site, b"x\n" * (view.MOST_BYTES // 2), "b.txt"))[0] == "x"


@pytest.mark.parametrize(
    ("content", "sentence"), [(bytes(100), "The file is no text"), (b"", "The file is empty.")]
)
def test_what_cannot_be_shown_is_told(site: Site, content: bytes, sentence: str) -> None:
    assert sentence in shown(site, content, "a.bin")


def test_an_image_is_shown_from_its_own_address(site: Site) -> None:
    text = shown(site, PNG, "a & b.png")
    assert '<img src="a%20%26%20b.png" alt="a &amp; b.png">' in text
    assert "As text" not in text


def test_a_drawing_is_an_image_with_a_source(site: Site) -> None:
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    text = shown(site, drawing, "a.svg")
    assert '<img src="a.svg"' in text
    assert '<a class="button second" href="a.svg?view=text">As text</a>' in text
    assert lines(shown(site, drawing, "a.svg", "?view=text")) == [drawing.decode()]


def test_json_is_laid_out_and_can_be_seen_as_it_is(site: Site) -> None:
    assert lines(shown(site, b'{"a":[1.0]}', "a.json")) == ["{", '  "a": [', "    1.0", "  ]", "}"]
    assert lines(shown(site, b'{"a":[1.0]}', "a.json", "?view=text")) == ['{"a":[1.0]}']


@pytest.mark.parametrize("text", [b"[" * 500_000, b"[" * 900 + b"1," * 900_000 + b"1" + b"]" * 900])
def test_json_that_would_grow_is_shown_as_it_is(site: Site, text: bytes) -> None:
    assert len(lines(shown(site, text, "a.json"))) == 1


def test_test_results_are_a_table_with_failures_first(site: Site) -> None:
    text = shown(site, REPORT, "junit.xml")
    order = [text.index(f"<td>{name}") for name in ("fails", "breaks", "skips", "passes")]
    assert order == sorted(order)
    assert '<span class="outcome failed">1 failed</span>' in text
    assert "E  assert &lt;b&gt;" in text
    assert lines(shown(site, REPORT, "junit.xml", "?view=text"))[1].startswith("<testsuites>")


@pytest.mark.parametrize(
    ("content", "first"), [(LAUGHS, "<!DOCTYPE lolz"), (b"<testsuite><a>", "<testsuite><a>")]
)
def test_xml_that_is_refused_is_shown_as_text(site: Site, content: bytes, first: str) -> None:
    text = shown(site, content, "junit.xml")
    assert lines(text)[0].startswith(first)
    assert text.count("lollol") == 0


def test_hostile_test_results_are_shown_as_text(site: Site) -> None:
    evil = html.escape("\u202e" + SCRIPT.decode())
    content = (
        f'<testsuite name="{evil}"><testcase name="{evil}" classname="{evil}">'
        f'<failure message="{evil}">{evil}</failure></testcase></testsuite>'
    )
    text = shown(site, content.encode(), "junit.xml")
    assert "\u202e" not in text
    assert text.count("&lt;script&gt;alert(1)") == 4


def test_very_many_tests_are_cut(site: Site) -> None:
    content = b"<testsuite>" + b"<testcase/>" * 6_000 + b"</testsuite>"
    text = shown(site, content, "junit.xml")
    assert text.count("<tr>") == view.MOST_TESTS + 1
    assert "Another 1,000 tests are not shown." in text


def test_a_listing_leads_to_what_can_be_viewed_by_buttons(site: Site) -> None:
    """Not by links, which ``wget -r`` would follow."""
    path = kept(site, b"hello\x08", "b.log").rpartition("/")[0]
    text = page(site, f"{path}/")
    assert 'formaction="b.log" name="view"' in text
    assert 'formaction="sub/"' not in text
    assert not re.search(r'href="[^"]*\?view', text)


def test_an_upload_leads_to_its_view(site: Site) -> None:
    receipt = site.upload(b"hello", "a b.log")
    text = page(site, f"/uploads/{receipt['upload']['id']}")
    assert f'href="{site.directory(receipt)}a%20b.log?view"' in text


def test_a_replica_has_a_page_too_and_a_directory_none(site: Site) -> None:
    site.upload(b"hello", "a.log", Username="bob")
    assert lines(site.get("/replica/user/bob/a.latest.log?view").get_data().decode()) == ["hello"]
    assert site.get("/replica/user/bob/a.latest.log").get_data() == b"hello"
    assert site.get("/replica/user/bob/?view").status_code == 200
    assert site.get("/replica/user/bob/nothing.log?view").status_code == 404
    assert site.get("/replica/user/bob/a.latest.log?view", "HEAD").get_data() == b""
