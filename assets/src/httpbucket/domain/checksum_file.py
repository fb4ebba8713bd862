r"""Checksum files: what ``sha256sum`` and its kin print, line by line.

Read are the forms of GNU coreutils and BusyBox (``<hex>  name``, ``<hex> *name``), their escapes
(a line that begins with a backslash has ``\\``, ``\n`` and ``\r`` in its name), ``--zero``,
``--tag`` and BSD (``SHA256 (name) = <hex>``), and digests without a name, bare or as
``algorithm:hex``. Empty lines and those that begin with ``#`` say nothing, as for ``--check``
(https://www.gnu.org/software/coreutils/manual/html_node/cksum-output-modes.html).
"""

from __future__ import annotations

import functools
import re
from binascii import unhexlify
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from httpbucket.domain.digest import Digest, algorithm_name, algorithms_of_size, digest_size
from httpbucket.domain.errors import MalformedChecksums

#: The longest line in bytes: a path as long as Linux takes (4,096), though each byte be escaped.
MOST_LINE_BYTES = 8448

_PLAIN = re.compile(
    rb"(?P<escaped>\\?)(?:(?P<algorithm>[\w/-]+):)?(?P<hex>[0-9A-Fa-f]+)(?: [ *](?P<name>.+))?",
    re.DOTALL,
)
_TAGGED = re.compile(
    rb"(?P<escaped>\\?)(?P<algorithm>[\w/-]+) ?\((?P<name>.+)\) ?= (?P<hex>[0-9A-Fa-f]+)", re.DOTALL
)
#: Between a digest and a name: a blank, or a star for what was read as binary.
_MARKS = (b" ", b"*")

_ESCAPE = re.compile(rb"\\(.?)", re.DOTALL)
_ESCAPED = {b"\\": b"\\", b"n": b"\n", b"r": b"\r"}

#: Where one line follows another without a line's end in between.
_LINES_RUN_TOGETHER = re.compile(rb"[0-9A-Fa-f]{32} [ *]")


class ChecksumEntry(NamedTuple):
    """One digest that a client names, and the bytes in which it did.

    ``value`` is the digest, raw, of one of ``algorithms``, the likeliest first; ``raw`` is the line
    with its end, or the JSON element. A tuple, because a hundred thousand of them come at once.
    """

    value: bytes
    algorithms: tuple[str, ...]
    raw: bytes
    # None where it stands behind the first blank and mark of ``raw``, as it mostly does.
    given_name: bytes | None
    is_escaped: bool

    @property
    def written_name(self) -> bytes:
        """The file's name with its escapes."""
        if self.given_name is not None:
            return self.given_name
        return self.raw.partition(b" ")[2][1:-1]

    @property
    def name(self) -> str:
        """The file's name, or ``""``; bytes that are no UTF-8 become lone surrogates (PEP 383).

        Raises `MalformedChecksums` for an escape that means nothing.
        """
        written = self.written_name
        name = _ESCAPE.sub(_unescaped, written) if self.is_escaped else written
        return name.decode(errors="surrogateescape")

    @property
    def question(self) -> tuple[Digest, ...]:
        """The digests that it may mean, best first."""
        return tuple(Digest.of(algorithm, self.value) for algorithm in self.algorithms)


def read_checksum_file(pieces: Iterable[bytes], *, preferred: str) -> Iterator[ChecksumEntry]:
    r"""Read a checksum file that comes in pieces of any size; memory holds a piece and a line.

    Lines end with NUL where the first does, and else with a line feed, or a carriage return and
    line feed. Bare hex means what `algorithms_of_size` says. Raises `MalformedChecksums`, which
    says the line.

    >>> empty = b"d41d8cd98f00b204e9800998ecf8427e"
    >>> [entry] = read_checksum_file([empty + b"  a b", b".txt\n"], preferred="md5")
    >>> entry.algorithms, entry.name
    (('md5',), 'a b.txt')
    """
    before = 0
    for text, end in whole_lines(pieces):
        yield from entries_in(text, end, preferred=preferred, before=before)
        before += text.count(end) if end else 1


def entries_in(text: bytes, end: bytes, *, preferred: str, before: int) -> Iterator[ChecksumEntry]:
    """The entries of some of `whole_lines`; ``before`` is how many there were before them."""
    lines = text.split(end)[:-1] if end else [text]
    for number, line in enumerate(lines, before + 1):
        entry = _plainest(line, end, preferred)
        if entry is None:
            entry = _numbered(line, end, preferred, number)
        if entry is not None:
            yield entry


def _plainest(line: bytes, end: bytes, preferred: str) -> ChecksumEntry | None:
    """The entry of the line that comes most often, ``<hex>  name``; it takes a third of `_read`."""
    hexadecimal, _, named = line.partition(b" ")
    if named[:1] not in _MARKS or len(named) < 2 or line[-1:] == b"\r" or not end:
        return None
    try:
        value = unhexlify(hexadecimal)
        algorithms = algorithms_meant(None, len(value), preferred)
    except (ValueError, MalformedChecksums):
        return None
    if len(line) > MOST_LINE_BYTES:
        return None
    return ChecksumEntry(value, algorithms, line + end, None, False)


def _numbered(line: bytes, end: bytes, preferred: str, number: int) -> ChecksumEntry | None:
    """The entry of any line; None where it says nothing. Raises with the line's number."""
    text = line[:-1] if end != b"\0" and line.endswith(b"\r") else line
    if not text or text.startswith(b"#"):
        return None
    try:
        entry = _read(text, line + end, preferred)
        if not end and _LINES_RUN_TOGETHER.search(entry.written_name):
            raise MalformedChecksums(
                "holds several digests without a line's end between them; "
                "send the file with curl --data-binary, because -d takes line ends out."
            )
    except MalformedChecksums as error:
        raise MalformedChecksums(f"Line {number} {error}", line=number) from None
    return entry


def checked_entry(
    algorithm: str | None, hexadecimal: str, *, preferred: str, name: bytes = b"", raw: bytes
) -> ChecksumEntry:
    """The entry of this digest. Raises `MalformedChecksums` where it is none."""
    if len(hexadecimal) % 2:
        raise MalformedChecksums(f"has a digest of {len(hexadecimal)} digits, an odd number.")
    value = bytes.fromhex(hexadecimal)
    algorithms = algorithms_meant(algorithm, len(value), preferred)
    return ChecksumEntry(value, algorithms, raw, name, False)


# Bounded, because clients name algorithms as they like.
@functools.lru_cache(maxsize=256)
def algorithms_meant(name: str | None, size: int, preferred: str) -> tuple[str, ...]:
    if name is None:
        meant = algorithms_of_size(size, preferred=preferred)
    else:
        known = algorithm_name(name)
        meant = (known,) if known and digest_size(known) == size else ()
    if not meant:
        shown = f" of {name}" if name else ""
        raise MalformedChecksums(f"has {2 * size} digits, which is no digest{shown} known here.")
    return meant


def _read(text: bytes, raw: bytes, preferred: str) -> ChecksumEntry:
    if len(text) > MOST_LINE_BYTES:
        raise MalformedChecksums(f"is longer than {MOST_LINE_BYTES} bytes.")
    found = _PLAIN.fullmatch(text) or _TAGGED.fullmatch(text)
    if found is None:
        shown = repr(text[:80].decode(errors="replace"))
        raise MalformedChecksums(
            f"is not what sha256sum prints (a digest, two spaces, a name): {shown}."
        )
    escaped, algorithm, hexadecimal, name = found.group("escaped", "algorithm", "hex", "name")
    entry = checked_entry(
        algorithm.decode() if algorithm else None,
        hexadecimal.decode(),
        preferred=preferred,
        name=name or b"",
        raw=raw,
    )
    return entry._replace(is_escaped=True) if escaped else entry


def whole_lines(pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Some lines at a time, each with its end, and that; the last line may have none."""
    rest, end = b"", b""
    for piece in pieces:
        rest += piece
        end = end or _end_of_lines(rest)
        if end:
            whole, found, rest = rest.rpartition(end)
            if found:
                yield whole + found, end
        if len(rest) > MOST_LINE_BYTES:
            break
    end = end or b"\n"
    whole, found, rest = rest.rpartition(end)
    if found:
        yield whole + found, end
    if rest:
        yield rest, b""


def _end_of_lines(start: bytes) -> bytes:
    """What ends the lines of a text that begins so; empty while that is not certain.

    A name may hold line feeds where lines end with NUL.
    """
    if b"\0" in start[: MOST_LINE_BYTES + 1]:
        return b"\0"
    return b"\n" if len(start) > MOST_LINE_BYTES else b""


def _unescaped(found: re.Match[bytes]) -> bytes:
    try:
        return _ESCAPED[found[1]]
    except KeyError:
        raise MalformedChecksums(
            f"A name has the escape {found[0].decode(errors='replace')!r}, which means nothing."
        ) from None
