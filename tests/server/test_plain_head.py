"""Which requests are plain, and what is written back."""

from __future__ import annotations

import re
import time

import pytest
from gunicorn.config import Config

from httpbucket.server import plain_fields, tested_gunicorn
from httpbucket.server.plain_head import MOST_BYTES, PlainHead, why_not
from httpbucket.web.quick_head import HeadAnswer

KNOWN = HeadAnswer("200 OK", (("Content-Length", "0"), ("X-Some", "thing")))
DIGEST = "ab" * 32
LINE = f"HEAD /checksum/{DIGEST} HTTP/1.1\r\n"
HOST = "Host: bucket.example:5000\r\n"


def answer_to(request: str | bytes) -> bytes | None:
    (answer,) = answers_to(request.encode("latin-1") if isinstance(request, str) else request)
    return answer


def answers_to(*requests: bytes) -> list[bytes | None]:
    head = PlainHead(
        lambda digests: [KNOWN if one == DIGEST else None for one in digests], Config()
    )
    return head.answers_to(requests)


PLAIN = [
    HOST,
    f"{HOST}User-Agent: curl/7.88.1\r\nAccept: */*\r\n",
    f"User-Agent: python-requests/2\r\naccept-encoding: gzip\r\nConnection: keep-alive\r\n{HOST}",
    "host:[::1]:80\r\nX-Forwarded-For: 10.0.0.1, ::1\r\nX-Forwarded-Proto: https\r\n",
    f"{HOST}Accept:\r\nUser-Agent: caf\xe9\t\r\n",
]

UNUSUAL_FIELDS = [
    "",
    "Accept: */*\r\n",
    f"{HOST}{HOST}",
    "Host: a b\r\n",
    "Host: a_b\r\n",
    "Host: a..b\r\n",
    "Host: .a\r\n",
    f"Host: {'a' * 64}.b\r\n",
    "Host: evil/\r\n",
    "Host: \r\n",
    f"{HOST}Connection: close\r\n",
    f"{HOST}Connection: upgrade\r\n",
    f"{HOST}Connection: keep-alive\r\nConnection: close\r\n",
    f"{HOST}Accept: a\r\nAccept: b\r\n",
    f"{HOST}Accept : a\r\n",
    f"{HOST} Accept: a\r\n",
    f"{HOST}Accept: a\r\n b\r\n",
    f"{HOST}Accept: a\nPragma: b\r\n",
    f"{HOST}Accept: a\rb\r\n",
    f"{HOST}Accept: a\x00b\r\n",
    f"{HOST}Accept: a\x7fb\r\n",
    f"{HOST}Accept\r\n",
    f"{HOST}Authorization: Basic eA==\r\n",
    f"{HOST}Cookie: a=b\r\n",
    f"{HOST}Range: bytes=0-1\r\n",
    f"{HOST}If-None-Match: *\r\n",
    f"{HOST}Content-Length: 0\r\n",
    f"{HOST}Content-Length: 5\r\n",
    f"{HOST}Transfer-Encoding: chunked\r\n",
    f"{HOST}Expect: 100-continue\r\n",
    f"{HOST}Upgrade: h2c\r\n",
    f"{HOST}SCRIPT_NAME: /prefix\r\n",
    f"{HOST}X-Forwarded-Ssl: on\r\n",
    f"{HOST}X-Forwarded-Proto: gopher\r\n",
    f"{HOST}Origin: http://evil.example\r\n",
]

UNUSUAL = [
    *(f"{LINE}{fields}\r\n" for fields in UNUSUAL_FIELDS),
    "",
    LINE,
    f"{LINE}{HOST}",
    f"{LINE}{HOST}\r",
    f"{LINE}{HOST}\r\nbody",
    f"{LINE}{HOST}\r\n" * 2,
    f"\r\n{LINE}{HOST}\r\n",
    f"HEAD /checksum/{DIGEST} HTTP/1.0\r\n{HOST}\r\n",
    f"HEAD  /checksum/{DIGEST} HTTP/1.1\r\n{HOST}\r\n",
    f"HEAD /checksum/{DIGEST} HTTP/1.1\n{HOST}\r\n",
    f"HEAD /checksum/{DIGEST}?x HTTP/1.1\r\n{HOST}\r\n",
    f"HEAD /checksum/{DIGEST}# HTTP/1.1\r\n{HOST}\r\n",
    f"HEAD /checksum/{DIGEST}/ HTTP/1.1\r\n{HOST}\r\n",
    f"HEAD //checksum/{DIGEST} HTTP/1.1\r\n{HOST}\r\n",
    f"HEAD /checksum/%61{DIGEST[1:]} HTTP/1.1\r\n{HOST}\r\n",
    f"HEAD http://bucket.example/checksum/{DIGEST} HTTP/1.1\r\n{HOST}\r\n",
    f"HEAD /checksum/ HTTP/1.1\r\n{HOST}\r\n",
    f"HEAD /checksum/{'0' * 201} HTTP/1.1\r\n{HOST}\r\n",
    f"GET /checksum/{DIGEST} HTTP/1.1\r\n{HOST}\r\n",
    f"head /checksum/{DIGEST} HTTP/1.1\r\n{HOST}\r\n",
    f"HEAD /blob/{DIGEST} HTTP/1.1\r\n{HOST}\r\n",
]


@pytest.mark.parametrize("fields", PLAIN)
def test_a_plain_question_is_answered(fields: str) -> None:
    answer = answer_to(f"{LINE}{fields}\r\n")
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: ")
    assert answer.endswith(b"Connection: keep-alive\r\nContent-Length: 0\r\nX-Some: thing\r\n\r\n")


@pytest.mark.parametrize("request_bytes", UNUSUAL)
def test_an_unusual_request_is_not(request_bytes: str) -> None:
    assert answer_to(request_bytes) is None


def test_what_the_application_has_to_answer_is_not() -> None:
    assert answer_to(f"HEAD /checksum/x HTTP/1.1\r\n{HOST}\r\n") is None


def test_several_requests_are_answered_in_their_order() -> None:
    plain, unusual = f"{LINE}{HOST}\r\n".encode(), UNUSUAL[0].encode()
    other = plain.replace(DIGEST.encode(), b"00" * 32)
    answers = answers_to(unusual, plain, other, b"GET / HTTP/1.1\r\n", plain)
    assert [answer is not None for answer in answers] == [False, True, False, False, True]


def test_a_long_question_is_read_as_a_short_one_is() -> None:
    padding = f"Referer: {'x' * 600}\r\n"
    for fields in (padding + HOST, HOST + padding):
        assert answer_to(f"{LINE}{fields}\r\n") == answer_to(f"{LINE}{HOST}\r\n")
        assert answer_to(f"{LINE}{fields}{HOST}\r\n") is None


@pytest.mark.parametrize("count", range(len(LINE) + len(HOST) + 2))
def test_a_partial_request_is_not(count: int) -> None:
    assert answer_to(f"{LINE}{HOST}\r\n"[:count]) is None


def test_the_date_is_that_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000_000_000.5]
    monkeypatch.setattr(time, "time", lambda: now[0])
    head = PlainHead(lambda digests: [KNOWN], Config())
    dates = []
    for _ in range(2):
        written = head.answers_to([f"{LINE}{HOST}\r\n".encode()])[0] or b""
        dates += re.findall(rb"Date: (.*)\r", written)
        now[0] += 1
    assert dates == [b"Sun, 09 Sep 2001 01:46:40 GMT", b"Sun, 09 Sep 2001 01:46:41 GMT"]


class TestWhyNot:
    def test_nothing_speaks_against_the_defaults(self) -> None:
        assert why_not(Config()) is None

    def test_an_untested_gunicorn_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tested_gunicorn, "TESTED_VERSIONS", frozenset({"1.0"}))
        assert "was not tested" in (why_not(Config()) or "")

    def test_a_prefix_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SCRIPT_NAME", "/prefix")
        assert why_not(Config()) == "SCRIPT_NAME is set"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("accesslog", "-"),
            ("syslog", True),
            ("loglevel", "debug"),
            ("certfile", "some.pem"),
            ("keepalive", 0),
            ("protocol", "uwsgi"),
            ("proxy_protocol", "v1"),
            ("pre_request", lambda worker, request: None),
            ("secure_scheme_headers", {"X-MINE": "yes"}),
            ("limit_request_line", MOST_BYTES - 1),
            ("limit_request_field_size", MOST_BYTES - 1),
            ("limit_request_fields", 5),
        ],
    )
    def test_a_setting_that_makes_gunicorn_do_more_does(self, name: str, value: object) -> None:
        cfg = Config()
        cfg.set(name, value)
        assert why_not(cfg)

    def test_no_plain_request_can_pass_the_limit_of_fields(self) -> None:
        assert Config().limit_request_fields > plain_fields.MOST_FIELDS
