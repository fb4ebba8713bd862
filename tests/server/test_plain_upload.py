"""Which uploads are plain, what is read of them, and what is written back."""

from __future__ import annotations

import ast
import io
import re
from pathlib import Path

import pytest
from gunicorn.config import Config
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.sansio.multipart import Data, File, MultipartDecoder

from httpbucket.domain.template import InvalidTemplate, ReplicaTemplate, named_headers
from httpbucket.server.plain_upload import (
    MOST_BODY_BYTES,
    PlainUploads,
    UploadHead,
    why_not_headers,
)
from httpbucket.web import raw_uploads
from httpbucket.web.multipart import events
from httpbucket.web.quick_head import HeadAnswer
from httpbucket.web.quick_upload import PlainUpload, UploadAnswer
from httpbucket.web.request import TREE
from httpbucket.web.sent_digests import OF_CONTENT, OF_FILE
from tests.live.wire import multipart

LINE = "PUT /upload/results.xml HTTP/1.1\r\n"
HOST = "Host: bucket.example:5000\r\n"
LENGTH = "Content-Length: 7\r\n"
WANTED = ("username", "topic", "result")


class Keeper:
    """Notes what it is to keep."""

    def __init__(self, **options: int) -> None:
        self.kept: list[PlainUpload] = []
        self.uploads = PlainUploads(self.keep, Config(), wanted=WANTED, **options)

    def keep(self, upload: PlainUpload) -> UploadAnswer:
        self.kept.append(upload)
        return UploadAnswer(HeadAnswer("200 OK", (("Content-Length", "4"),)), b"kept")


def head_of(request: str | bytes, **options: int) -> UploadHead | None:
    text = request.encode("latin-1") if isinstance(request, str) else request
    return Keeper(**options).uploads.head_of(text)


PLAIN = [
    f"{HOST}{LENGTH}",
    f"{HOST}User-Agent: curl/7.88.1\r\nAccept: */*\r\n{LENGTH}",
    f"user-agent: x\r\nACCEPT-ENCODING: gzip\r\nConnection: keep-alive\r\n{LENGTH}{HOST}",
    f"{HOST}{LENGTH}Content-Type: text/xml; charset=utf-8\r\nAccept: application/json\r\n",
    f"{HOST}{LENGTH}Username: bob\r\nTopic: a b\r\nMeta-Build: 7\r\nResult:\r\n",
]

UNUSUAL = [
    f"{HOST}",
    f"{LENGTH}",
    f"{HOST}{HOST}{LENGTH}",
    f"{HOST}{LENGTH}{LENGTH}",
    f"Host: bucket.example:80\r\n{LENGTH}",
    f"Host: bucket.example:65536\r\n{LENGTH}",
    f"Host: .\r\n{LENGTH}",
    f"Host: a..b\r\n{LENGTH}",
    f"Host: {'a' * 64}.example\r\n{LENGTH}",
    f"Host: a_b\r\n{LENGTH}",
    f"Host: a b\r\n{LENGTH}",
    f"{HOST}Content-Length: 0\r\n",
    f"{HOST}Content-Length: -7\r\n",
    f"{HOST}Content-Length: +7\r\n",
    f"{HOST}Content-Length: 07\r\n",
    f"{HOST}Content-Length: {MOST_BODY_BYTES + 1}\r\n",
    f"{HOST}{LENGTH}Content-Length : 7\r\n",
    f"{HOST}{LENGTH}Transfer-Encoding: chunked\r\n",
    f"{HOST}{LENGTH}Content-Encoding: gzip\r\n",
    f"{HOST}{LENGTH}Content-Range: bytes 0-6/9\r\n",
    f"{HOST}{LENGTH}Content-MD5: x\r\n",
    f"{HOST}{LENGTH}Content-Type: multipart/form-data; boundary=x\r\n",
    f"{HOST}{LENGTH}Expect: 100-continue\r\n",
    f"{HOST}{LENGTH}Accept: text/html\r\n",
    f"{HOST}{LENGTH}Accept: text/plain\r\n",
    f"{HOST}{LENGTH}Connection: close\r\n",
    f"{HOST}{LENGTH}Cookie: a=b\r\n",
    f"{HOST}{LENGTH}Authorization: Basic eA==\r\n",
    f"{HOST}{LENGTH}Origin: http://evil.example\r\n",
    f"{HOST}{LENGTH}Sec-Fetch-Site: cross-site\r\n",
    f"{HOST}{LENGTH}X-Forwarded-Proto: https\r\n",
    f"{HOST}{LENGTH}X-Checksum-Sha256: {'0' * 64}\r\n",
    f"{HOST}{LENGTH}Repr-Digest: sha-256=:x:\r\n",
    f"{HOST}{LENGTH}Unpack: no\r\n",
    f"{HOST}{LENGTH}Tree: a\r\n",
    f"{HOST}{LENGTH}Retention-Days: 1\r\n",
    f"{HOST}{LENGTH}Idempotency-Key: 1\r\n",
    f"{HOST}{LENGTH}X-Nobody-Knows: 1\r\n",
    f"{HOST}{LENGTH}Username: b\xf6b\r\n",
    f"{HOST}{LENGTH}Username: bob\r\nusername: eve\r\n",
    f"{HOST}{LENGTH}Username: a\nTopic: b\r\n",
    f"{HOST}{LENGTH}Username: a\r\n b\r\n",
    f"{HOST}{LENGTH}User_name: a\r\n",
]

LINES = [
    "PUT /upload/a HTTP/1.0\r\n",
    "PUT /upload/a?unpack=no HTTP/1.1\r\n",
    "PUT /upload/a%20b HTTP/1.1\r\n",
    "PUT /upload/a/b HTTP/1.1\r\n",
    "PUT /upload/.a HTTP/1.1\r\n",
    "PUT /upload/ HTTP/1.1\r\n",
    "PUT /upload HTTP/1.1\r\n",
    f"PUT /upload/{'a' * 151} HTTP/1.1\r\n",
    "POST /upload/a HTTP/1.1\r\n",
    "POST /upload HTTP/1.1\r\n",
    "PATCH /upload/a HTTP/1.1\r\n",
    "put /upload/a HTTP/1.1\r\n",
    "PUT  /upload/a HTTP/1.1\r\n",
    "PUT /upload/a HTTP/1.1\n",
    "PUT /uploads/a HTTP/1.1\r\n",
    "\r\nPUT /upload/a HTTP/1.1\r\n",
]


@pytest.mark.parametrize("fields", PLAIN)
def test_what_most_clients_say_is_plain(fields: str) -> None:
    request = f"{LINE}{fields}\r\n"
    head = head_of(f"{request}content")
    assert head is not None
    assert (head.size, head.length, head.filename) == (len(request), 7, "results.xml")
    assert head.host == "bucket.example:5000"


@pytest.mark.parametrize("fields", UNUSUAL)
def test_a_field_that_may_matter_is_not(fields: str) -> None:
    assert head_of(f"{LINE}{fields}\r\ncontent") is None


@pytest.mark.parametrize("line", LINES)
def test_another_line_is_not(line: str) -> None:
    assert head_of(f"{line}{HOST}{LENGTH}\r\ncontent") is None


@pytest.mark.parametrize("cut", [10, len(LINE), len(LINE) + 5, -1])
def test_half_a_head_is_not(cut: int) -> None:
    assert head_of(f"{LINE}{HOST}{LENGTH}\r\n"[:cut]) is None


def test_a_head_of_many_bytes_or_fields_is_not() -> None:
    assert head_of(f"{LINE}{HOST}{LENGTH}User-Agent: {'x' * 4000}\r\n\r\n") is None
    many = "".join(f"Meta-{number}: x\r\n" for number in range(60))
    assert head_of(f"{LINE}{HOST}{LENGTH}{many}\r\n") is None


def test_nor_is_what_is_larger_than_the_server_takes() -> None:
    assert head_of(f"{LINE}{HOST}{LENGTH}\r\n", most_body_bytes=7) is not None
    assert head_of(f"{LINE}{HOST}{LENGTH}\r\n", most_body_bytes=6) is None


def test_what_templates_name_is_handed_on_in_their_order() -> None:
    fields = "Meta-Job: 7\r\nTopic: demo \r\nResult: \r\nUSERNAME:bob\r\nUser-Agent: x\r\n"
    head = head_of(f"{LINE}{HOST}{LENGTH}{fields}\r\n")
    assert head is not None
    assert [*head.headers.items()] == [("username", "bob"), ("topic", "demo"), ("meta-job", "7")]


def keep(request: bytes) -> tuple[PlainUpload | None, bytes | None]:
    keeper = Keeper()
    head = keeper.uploads.head_of(request)
    assert head is not None
    answer = keeper.uploads.answer_to(head, request[head.size :], lambda: False)
    return (keeper.kept[0] if keeper.kept else None), answer


def test_the_body_is_kept_and_the_answer_is_what_gunicorn_writes() -> None:
    upload, answer = keep(f"{LINE}{HOST}{LENGTH}\r\ncontent".encode())
    assert upload is not None
    assert (upload.filename, upload.content) == ("results.xml", b"content")
    assert answer is not None
    assert re.sub(rb"Date: [^\r]+", b"Date: now", answer) == (
        b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: now\r\nConnection: keep-alive\r\n"
        b"Content-Length: 4\r\n\r\nkept"
    )


def form(body: bytes, kind: str) -> bytes:
    fields = f"{HOST}Content-Length: {len(body)}\r\nContent-Type: {kind}\r\n\r\n"
    return f"POST /upload HTTP/1.1\r\n{fields}".encode() + body


def test_the_only_file_of_a_form_is_kept() -> None:
    upload, answer = keep(form(*multipart(b"content")))
    assert upload is not None
    assert (upload.filename, upload.content) == ("results.xml", b"content")
    assert answer is not None


_START = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.xml"\r\n'
_END = b"\r\n--x--\r\n"

ODD_FORMS = [
    b"",
    b"no form",
    _START + b"\r\ncontent",
    _START + b"\r\ncontent\r\n--x--",
    _START + b"\r\n" + _END,
    b"preamble\r\n" + _START + b"\r\ncontent" + _END,
    _START + b"\r\ncontent" + _END + b"epilogue",
    _START + b"\r\ncontent\r\n--x\r\n" + _START[5:] + b"\r\nother" + _END,
    _START + b"\r\ncontent\r\n--x" + _END,
    _START + b"\r\ncontent--x" + _END,
    _START + b"X-Checksum-Sha256: 00\r\n\r\ncontent" + _END,
    _START.replace(b'"file"', b'"other"') + b"\r\ncontent" + _END,
    _START.replace(b"a.xml", b".xml") + b"\r\ncontent" + _END,
    _START.replace(b"a.xml", b"d/a.xml") + b"\r\ncontent" + _END,
    _START.replace(b"a.xml", b"a\\.xml") + b"\r\ncontent" + _END,
    _START.replace(b"\r\n", b"\n") + b"\ncontent" + _END,
]


@pytest.mark.parametrize("body", ODD_FORMS)
def test_any_other_form_is_not_plain_and_nothing_is_kept(body: bytes) -> None:
    request = form(body or b" ", "multipart/form-data; boundary=x")
    assert keep(request) == (None, None)


@pytest.mark.parametrize(
    "kind",
    [
        'multipart/form-data; boundary="x"',
        "multipart/form-data; boundary=x; charset=utf-8",
        "multipart/form-data",
        "multipart/mixed; boundary=x",
        "application/x-www-form-urlencoded",
    ],
)
def test_a_form_of_another_kind_is_not_plain(kind: str) -> None:
    assert head_of(form(_START + b"\r\ncontent" + _END, kind)) is None


_pieces = st.lists(
    st.sampled_from(
        [b"\r\n", b"--", b"x", b"-", b"\r", b"\n", b"a", b"\r\n--x", b"--x--", b"\x00"]
    ),
    max_size=8,
).map(b"".join)


@given(_pieces, _pieces)
@example(b"", b"")
def test_a_form_reads_as_the_application_reads_it_or_not_at_all(
    content: bytes, tail: bytes
) -> None:
    body = _START + b"\r\n" + content + _END + tail
    request = form(body, "multipart/form-data; boundary=x")
    upload, _ = keep(request)
    if upload is None:
        return
    _, file, *pieces = events(MultipartDecoder(b"x"), io.BytesIO(body).read)
    assert isinstance(file, File)
    assert (file.name, file.filename) == ("file", upload.filename)
    assert b"".join(one.data for one in pieces if isinstance(one, Data)) == upload.content
    assert {type(one) for one in pieces} == {Data}


def named_by_the_application() -> set[str]:
    """The headers that views read of an upload, by the calls that read them."""
    calls = [
        node
        for path in Path(raw_uploads.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"parameter", "parameters"}
    ]
    read = {str(one.value) for call in calls for one in call.args if isinstance(one, ast.Constant)}
    return {*read, TREE, *OF_CONTENT, *OF_FILE}


def test_no_header_that_decides_how_a_file_is_treated_is_taken_for_a_templates_only() -> None:
    names = named_by_the_application()
    assert {"Unpack", "checksum"} <= names
    for name in names:
        try:
            template = ReplicaTemplate.parse(f"x/${{{name}}}")
        except InvalidTemplate:
            continue
        assert why_not_headers(named_headers([template])) is not None, name


@pytest.mark.parametrize("name", ["unpack", "x-checksum-sha256", "tree", "repr-digest"])
def test_a_template_with_a_header_that_decides_more_says_why_not(name: str) -> None:
    assert why_not_headers(("username", name)) == f"templates name {name}"
    assert why_not_headers(("username", "user-agent", "tree-name")) is None
