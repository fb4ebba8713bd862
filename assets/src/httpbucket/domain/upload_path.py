"""The path that a client gives its file within an upload: folders, and the name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from httpbucket.domain.errors import EmptyFilename, InvalidPath
from httpbucket.domain.filename import cut_to_bytes, kept_filename, safe_part

#: Deep enough for every build tree, and with the store's own part far from PATH_MAX (4,096).
MAX_FOLDERS = 32
MAX_FOLDER_BYTES = 1024


@dataclass(frozen=True, slots=True)
class UploadPath:
    """Where in an upload's directory its file lies.

    ``folder`` is relative, without a slash at either end, and empty for the directory itself.

    >>> UploadPath.parse("reports/.unit/results.xml")
    UploadPath(folder='reports/_.unit', name='results.xml')
    """

    folder: str
    name: str

    @classmethod
    def parse(cls, text: str, *, below: str = "") -> Self:
        """Read ``text``, whose slashes part folders, as a path in the folder ``below``.

        Raises `EmptyFilename` when it names no file, and `InvalidPath`.
        """
        *folders, name = text.split("/")
        if not name:
            raise EmptyFilename(f"{text[:80]!r} names no file.")
        return cls(safe_folder("/".join((below, *folders))), kept_filename(name))


def safe_folder(text: str) -> str:
    """A folder's path, each of whose parts is as close to the client's as safety allows.

    Empty parts and ``.`` are left out. Raises `InvalidPath` for ``..``, and for what is too deep
    or too long.

    >>> safe_folder("/reports//./unit/")
    'reports/unit'
    """
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidPath("'..' leads out of the upload; leave it out of the path.")
    folder = "/".join(cut_to_bytes(safe_part(part), whole=part) for part in parts)
    if len(parts) > MAX_FOLDERS or len(folder.encode()) > MAX_FOLDER_BYTES:
        raise InvalidPath(
            f"The path is too deep or too long; expected at most {MAX_FOLDERS} folders, "
            f"and {MAX_FOLDER_BYTES} bytes of them."
        )
    return folder
