"""Our way through a multipart body beside Werkzeug's own, on anything that may come."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from httpbucket.web.multipart import events

BOUNDARY = b"boundary"
HEADS = (
    b'--boundary\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n',
    b'--boundary\r\nContent-Disposition: form-data; name="tree"\r\n\r\n',
)
FRAGMENTS = (b"\r\n", b"\n", b"\r", b"-", b"--", b"--bound", b"--boundary", b" ", b"x" * 40, b"\0")
WHOLE = (b"\r\n--boundary\r\n", b"\r\n--boundary--\r\n", b"\r\n--boundary  \r\n", b"\n--boundary--")

CONTENTS = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=8), max_size=12)
BODIES = st.lists(st.tuples(st.sampled_from(HEADS), CONTENTS, st.sampled_from(WHOLE)), max_size=4)

#: Parts with their bytes, and what was wrong with the body.
Outcome = tuple[list[tuple[Event, bytes]], str]


@given(body=BODIES, cuts=st.lists(st.integers(1, 60), min_size=1, max_size=30), is_whole=...)
def test_parts_are_what_the_decoder_makes_of_them(
    body: list[tuple[bytes, list[bytes], bytes]], cuts: list[int], is_whole: bool
) -> None:
    text = b"".join(head + b"".join(content) + end for head, content, end in body)
    pieces = list(cut_up(text + (b"\r\n--boundary--\r\n" if is_whole else b""), cuts))
    assert outcome(ours(pieces)) == outcome(theirs(pieces))


def cut_up(text: bytes, cuts: list[int]) -> Iterator[bytes]:
    """The text in pieces of these sizes, again and again."""
    while text:
        for size in cuts:
            yield text[:size]
            text = text[size:]


def ours(pieces: list[bytes]) -> Iterator[Event]:
    rest = iter(pieces)
    return events(MultipartDecoder(BOUNDARY), lambda _: next(filter(None, rest), b""))


def theirs(pieces: list[bytes]) -> Iterator[Event]:
    decoder = MultipartDecoder(BOUNDARY)
    for piece in (*filter(None, pieces), None):
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            yield event


def outcome(found: Iterator[Event]) -> Outcome:
    parts: list[tuple[Event, bytes]] = []
    try:
        for event in found:
            if isinstance(event, Field | File):
                parts.append((event, b""))
            elif isinstance(event, Data):
                parts[-1] = (parts[-1][0], parts[-1][1] + event.data)
    except ValueError as error:
        return parts, str(error)
    return parts, ""
