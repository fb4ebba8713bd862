"""What a `Scribe` runs: makes files or links as standard input says, and tells what it did not do.

It is started by its path and imports nothing of ours, so that it is there after 10 ms and takes
9 MiB. What it does not expect ends it; who reads its answers takes care of what that leaves.
"""

# ruff: noqa: PTH101, PTH102

from __future__ import annotations

import marshal
import os
import signal
import sys

# Of typing, which would take longer to import than Python to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

#: As `layout.BLOB_MODE` and `layout.PUBLIC_DIRECTORY_MODE`.
_FILE_MODE = 0o444
_DIRECTORY_MODE = 0o755

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def make_file(path: bytes, content: bytes) -> bool:
    """Make a file where there is none; whether it was."""
    try:
        descriptor = os.open(path, _NEW, _FILE_MODE)
    except OSError:
        return False
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)
    return True


class Links:
    """Links files, and makes the directories for that."""

    def __init__(self) -> None:
        # Of the last one: that of the next will probably be there, or missing, as well.
        self._directory_was_missing = False

    def make(self, path: bytes, source: bytes) -> bool:
        """Give a file one more name, which nothing has; whether it was given."""
        try:
            if self._directory_was_missing:
                self._directory_was_missing = _make_directory(path)
            try:
                os.link(source, path, follow_symlinks=False)
            except FileNotFoundError:
                self._directory_was_missing = _make_directory(path)
                os.link(source, path, follow_symlinks=False)
        except OSError:
            return False
        return True


def _make_directory(path: bytes) -> bool:
    """Make the directory that a file of this path lies in, and those above; whether it was."""
    directory = path.rpartition(b"/")[0]
    try:
        os.mkdir(directory, _DIRECTORY_MODE)
    except FileExistsError:
        return False
    except FileNotFoundError:
        _make_directory(directory)
        # What this one would hand on, those below do not get.
        os.chmod(directory.rpartition(b"/")[0], _DIRECTORY_MODE)
        os.mkdir(directory, _DIRECTORY_MODE)
    return True


def main(make: Callable[[bytes, bytes], bool]) -> None:
    """Take bundle after bundle, until there are no more or who sends them is gone."""
    # Ctrl-C reaches this process too; who started it finishes what is under way, and ends it then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    while bundle := _next_bundle():
        if os.getppid() != parent:
            return
        undone = [number for number, (path, what) in enumerate(bundle) if not make(path, what)]
        marshal.dump(undone, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _next_bundle() -> list[tuple[bytes, bytes]]:
    """Paths, each with the content that is to be there or the file that is to be linked."""
    try:
        bundle: list[tuple[bytes, bytes]] = marshal.load(sys.stdin.buffer)
    except EOFError:
        return []
    return bundle


if __name__ == "__main__":
    main(make_file if sys.argv[1] == "files" else Links().make)
