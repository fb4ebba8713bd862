"""Read the members of an archive file of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from httpbucket.content.findings import Findings
from httpbucket.content.kind import ArchiveKind
from httpbucket.content.limits import Budget
from httpbucket.content.members import Entry
from httpbucket.content.tar import read_tar
from httpbucket.content.zip import read_zip

#: Raised whenever the same archive file could come out as another tree; manifests record it.
UNPACKER_VERSION = "1"

_READERS = {ArchiveKind.TAR: read_tar, ArchiveKind.ZIP: read_zip}


def read_archive(
    stream: BinaryIO, kind: ArchiveKind, *, budget: Budget, findings: Findings
) -> Iterator[Entry]:
    """Give each member with its content, which is to be read before the next member is asked for.

    ``stream`` stands at its beginning and is seekable (a tar is only read forward). Names are
    checked; links and devices come as members without content, for a `TreePlan` to decide. What
    the reader itself notices goes to ``findings``. Raises the subclasses of `CannotUnpack`; the
    members given before then are to be thrown away.
    """
    return _READERS[kind](stream, budget=budget, findings=findings)
