"""Which answers are given again, and what is kept of them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import pytest
from gunicorn.config import Config

from httpbucket.server.learning import Heard, Learner, answer_of
from httpbucket.server.remembered import Answer, Remembered, key_of
from httpbucket.services.see_again import SeeAgain, Seen
from httpbucket.storage.memory import MemoryIndex
from httpbucket.web.quick_head import HeadAnswer
from httpbucket.web.sent import TELL_SENT, SendAgain, Sent
from tests.services.test_see_again import Sighting

LINE = "GET /blob/00 HTTP/1.1\r\n"
HOST = "Host: bucket.example\r\n"
PEER = ("10.0.0.1", 12345)


def remembered(most_bytes: int = 100_000) -> Remembered:
    return Remembered(SendAgain(SeeAgain(MemoryIndex())), most_bytes=most_bytes)


def answer(sighting: Sighting | None = None, stop: int = 3) -> Answer:
    sent = Sent(Seen(sighting or Sighting()), 0, stop)
    return Answer(b"HTTP/1.1 200 OK\r\nDate: ", b"\r\nContent-Length: 3\r\n\r\n", sent)


def key(request: str, peer: object = PEER) -> bytes | None:
    return key_of(request.encode("latin-1"), peer)


def test_an_answer_is_given_again_with_the_date_of_now() -> None:
    answers = remembered()
    assert answers.answer_to(b"key") is None
    answers.add(b"key", answer())
    given = answers.answer_to(b"key")
    assert given is not None
    assert given.endswith(b"\r\nContent-Length: 3\r\n\r\n012")
    (date,) = re.findall(rb"Date: ([^\r]+)\r", given)
    moment = time.mktime(time.strptime(date.decode(), "%a, %d %b %Y %H:%M:%S GMT"))
    assert abs(moment - time.mktime(time.gmtime())) < 60


def test_an_answer_that_does_not_hold_is_forgotten() -> None:
    answers, sighting = remembered(), Sighting(unchanged=False)
    answers.add(b"key", answer(sighting))
    assert answers.answer_to(b"key") is None
    sighting.unchanged = True
    assert answers.answer_to(b"key") is None


def test_those_that_were_not_asked_for_the_longest_are_forgotten_first() -> None:
    answers = remembered(most_bytes=3 * 1700)
    for number in range(3):
        answers.add(b"%d" % number, answer())
    assert answers.answer_to(b"0")
    answers.add(b"3", answer())
    assert [bool(answers.answer_to(b"%d" % number)) for number in range(4)] == [1, 0, 1, 1]


def test_however_much_is_asked_memory_stays_bounded() -> None:
    answers = remembered(most_bytes=50_000)
    for number in range(1000):
        answers.add(b"%d" % (number % 700) + bytes(number), answer())
    assert len(answers._answers) <= 50_000 // 1500
    assert answers._size <= 50_000


def test_one_larger_than_all_room_is_not_kept() -> None:
    answers = remembered(most_bytes=1000)
    answers.add(b"key", answer())
    assert answers.answer_to(b"key") is None
    assert answers._size == 0


PLAIN = [
    f"{LINE}{HOST}\r\n",
    f"HEAD /archive/2026/11/21/x/a%20b HTTP/1.1\r\n{HOST}\r\n",
    f"GET /replica/user/bob/?json HTTP/1.1\r\n{HOST}Accept: */*\r\n\r\n",
    f'{LINE}{HOST}If-None-Match: "x"\r\nRange: bytes=0-1\r\nSec-Fetch-Site: none\r\n\r\n',
]
UNUSUAL = [
    f"GET /checksum/00 HTTP/1.1\r\n{HOST}\r\n",
    f"GET / HTTP/1.1\r\n{HOST}\r\n",
    f"POST /blob/00 HTTP/1.1\r\n{HOST}\r\n",
    f"GET /blob/00 HTTP/1.0\r\n{HOST}\r\n",
    f"GET /blob/0 0 HTTP/1.1\r\n{HOST}\r\n",
    f"GET http://x/blob/00 HTTP/1.1\r\n{HOST}\r\n",
    f"{LINE}\r\n",
    f"{LINE}{HOST}",
    f"{LINE}{HOST}\r\n" * 2,
    f"{LINE}{HOST}\r\nbody",
    f"{LINE}{HOST}{HOST}\r\n",
    f"{LINE}{HOST}Connection: close\r\n\r\n",
    f"{LINE}{HOST}Content-Length: 0\r\n\r\n",
    f"{LINE}{HOST}Transfer-Encoding: chunked\r\n\r\n",
    f"{LINE}{HOST}Expect: 100-continue\r\n\r\n",
    f"{LINE}{HOST}Upgrade: h2c\r\n\r\n",
    f"{LINE}{HOST}Cookie: a=b\r\n\r\n",
    f"{LINE}{HOST}Authorization: Basic eA==\r\n\r\n",
    f"{LINE}{HOST}Origin: http://x\r\n\r\n",
    f"{LINE}{HOST}Range: bytes=0-1\r\nRange: bytes=0-2\r\n\r\n",
    f"{LINE}{HOST}X-Forwarded-Prefix: /x\r\n\r\n",
    f"{LINE}{HOST}X-Request-ID: 1\r\n\r\n",
    f"{LINE}{HOST}Traceparent: 1\r\n\r\n",
    "GET /blob/" + "0" * 2001 + f" HTTP/1.1\r\n{HOST}\r\n",
]


@pytest.mark.parametrize("request_text", PLAIN)
def test_a_plain_request_is_its_own_key(request_text: str) -> None:
    assert key(request_text) == request_text.encode()
    assert key(request_text, ("10.0.0.2", 1)) == key(request_text) == key(request_text, "")


@pytest.mark.parametrize("request_text", UNUSUAL)
def test_an_unusual_request_has_no_key(request_text: str) -> None:
    assert key(request_text) is None


@pytest.mark.parametrize("field", ["X-Forwarded-Host: x", "X-Forwarded-Proto: https", "Via: x"])
def test_what_a_proxy_says_counts_by_who_says_it(field: str) -> None:
    request_text = f"{LINE}{HOST}{field}\r\n\r\n"
    keys = {key(request_text, peer) for peer in (PEER, ("10.0.0.2", 1), "/run/socket")}
    assert len(keys) == 3
    assert None not in keys
    assert key(request_text, ("10.0.0.1", 99)) == key(request_text)


@dataclass
class Application:
    """Answers with the first bytes of a file."""

    headers: list[tuple[str, str]]

    def __call__(self, environ, start_response):  # type: ignore[no-untyped-def]
        if tell := environ.get(TELL_SENT):
            tell(Sent(Seen(Sighting(settled_at=100.0)), 0, 3))
        start_response("200 OK", self.headers)
        return [b"012"]


def heard_of(application: Application) -> Heard:
    learner = Learner(application)
    with learner.listening() as heard:
        assert learner({"REQUEST_METHOD": "GET"}, lambda *_: None) == [b"012"]  # type: ignore[arg-type]
    return heard


def test_what_is_learned_is_what_gunicorn_writes() -> None:
    heard = heard_of(Application([("Content-Length", "3"), ("X-Some", "thing")]))
    learned = answer_of(heard, asked_at=100.0, cfg=Config())
    assert learned is not None
    assert learned.before_date == b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: "
    expected = b"\r\nConnection: keep-alive\r\nContent-Length: 3\r\nX-Some: thing\r\n\r\n"
    assert learned.after_date == expected


def test_what_changed_lately_is_not_learned() -> None:
    heard = heard_of(Application([("Content-Length", "3")]))
    assert answer_of(heard, asked_at=99.0, cfg=Config()) is None


def test_an_answer_of_another_length_is_not_learned() -> None:
    for headers in ([], [("Content-Length", "4")]):
        heard = heard_of(Application(headers))
        assert answer_of(heard, asked_at=1e9, cfg=Config()) is None


def test_what_is_made_from_no_file_is_not_learned() -> None:
    heard = Heard("GET", HeadAnswer("200 OK", ()))
    assert answer_of(heard, asked_at=1e9, cfg=Config()) is None


def test_who_does_not_listen_is_told_nothing() -> None:
    environ: dict[str, object] = {}
    learner = Learner(Application([]))
    assert learner(environ, lambda *_: None) == [b"012"]  # type: ignore[arg-type]
    assert TELL_SENT not in environ
