"""What stands in front of a member's own header: long names of GNU tar, PAX records.

Sources: POSIX.1-2017 pax, "pax Extended Header"; the GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from httpbucket.content.members import sane_mtime
from httpbucket.content.pax import parse_pax, pax_mtime, pax_size
from httpbucket.content.tar_header import TarHeader
from httpbucket.domain.unpacking import UnsupportedArchive

#: All extension headers of one member together; the longest honest ones hold ACLs and a path.
MAX_EXTENSION_BYTES = 1024 * 1024
MAX_EXTENSION_HEADERS = 32

#: The types of header that extend the next one. ``X`` is what Solaris wrote for ``x``.
EXTENSION_TYPES = frozenset((b"x", b"X", b"g", b"L", b"K"))

_KEYWORDS = frozenset((b"path", b"linkpath", b"size", b"mtime"))
_SPARSE_PREFIX = b"GNU.sparse."
_SPARSE_PAIRS = frozenset((b"GNU.sparse.offset", b"GNU.sparse.numbytes"))
_SPARSE_MARKS = frozenset((b"GNU.sparse.major", b"GNU.sparse.size"))

_NO_VALUES: Mapping[bytes, bytes] = MappingProxyType({})

_OWNER_MAY_EXECUTE = 0o100


class TarMember(NamedTuple):
    """A member's header with all that extends it.

    ``size`` is the bytes that follow in the archive file; ``values`` are the PAX keywords in force;
    ``sparse_pairs`` the numbers of a sparse map in PAX format 0.0; ``block`` the header itself.
    """

    type: bytes
    name: bytes
    linkname: bytes
    size: int
    mtime: float
    executable: bool
    block: bytes
    values: Mapping[bytes, bytes] = _NO_VALUES
    sparse_pairs: Sequence[bytes] = ()

    def may_be_sparse(self) -> bool:
        """Whether it is worth looking for a sparse map."""
        return self.type == b"S" or not _SPARSE_MARKS.isdisjoint(self.values)


@dataclass(slots=True)
class Extensions:
    """What the extension headers of one member say; of keywords, only those that are used here.

    ``shared`` comes from global headers and is the same mapping for every member. PAX records win
    over GNU's long names, and those over the header's own fields, as in GNU tar. An empty value
    takes a keyword back (POSIX).
    """

    shared: dict[bytes, bytes]
    own: dict[bytes, bytes] = field(default_factory=dict)
    sparse_pairs: list[bytes] = field(default_factory=list)
    long_name: bytes | None = None
    long_linkname: bytes | None = None
    _headers: int = 0
    _bytes: int = 0

    def announce(self, size: int) -> None:
        """Count one more header of ``size`` bytes, not read yet. Raises `UnsupportedArchive`."""
        self._headers += 1
        self._bytes += size
        if self._headers > MAX_EXTENSION_HEADERS or self._bytes > MAX_EXTENSION_BYTES:
            raise UnsupportedArchive(
                f"A member of the tar has more than {MAX_EXTENSION_HEADERS} extension headers, "
                f"or more than {MAX_EXTENSION_BYTES} bytes of them."
            )

    def take(self, header_type: bytes, content: bytes) -> None:
        """Add what an extension header of one of `EXTENSION_TYPES` holds."""
        match header_type:
            case b"L":
                self.long_name = content.rstrip(b"\x00")
            case b"K":
                self.long_linkname = content.rstrip(b"\x00")
            case b"g":
                self.shared.update(_used(content))
            case _:
                self._take_pax(content)

    def belong_to_a_member(self) -> bool:
        """Whether a member must follow; global headers may also come last."""
        return bool(self.own) or self.long_name is not None or self.long_linkname is not None

    def applied_to(self, header: TarHeader) -> TarMember:
        """The member whose own header is ``header``. Raises `CorruptArchive` for an absurd size."""
        values = self._values()
        name = values.get(b"path") or self.long_name or header.name
        stated_size = pax_size(values, b"size") if values else None
        mtime = sane_mtime(header.mtime)
        return TarMember(
            type=header.type,
            name=values.get(b"GNU.sparse.name", name),
            linkname=values.get(b"linkpath") or self.long_linkname or header.linkname,
            size=header.size if stated_size is None else stated_size,
            mtime=pax_mtime(values, mtime) if values else mtime,
            executable=bool(header.mode & _OWNER_MAY_EXECUTE),
            block=header.raw,
            values=values,
            sparse_pairs=self.sparse_pairs,
        )

    def _values(self) -> Mapping[bytes, bytes]:
        if not self.shared and not self.own:
            return _NO_VALUES
        merged = self.shared | self.own
        return {keyword: value for keyword, value in merged.items() if value}

    def _take_pax(self, content: bytes) -> None:
        for keyword, value in parse_pax(content):
            if keyword in _SPARSE_PAIRS:
                self.sparse_pairs.append(value)
            elif keyword in _KEYWORDS or keyword.startswith(_SPARSE_PREFIX):
                self.own[keyword] = value


def _used(content: bytes) -> dict[bytes, bytes]:
    return {keyword: value for keyword, value in parse_pax(content) if keyword in _KEYWORDS}
