#!/usr/bin/env -S python3 -I
"""The container's entry: gives the store to the service user, stops being root, runs http-bucket.

It lies outside of /app and, isolated (``-I``), imports the standard library alone, so that nothing
of the source mounted over /app runs as root. What is done as root is all in ``give_store``; started
with ``docker run --user``, it is not root and does nothing but run http-bucket.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

#: User and group of the service, as the Dockerfile makes them: a number that no host gives out.
SERVICE = 10001

#: ``docker run -e NAME`` takes a variable away that the host has not set, also one of the image's.
DEFAULTS = {"ARCHIVE_DIR": "/data", "PORT": "80,5000"}

#: All that a store has at its top. The rest of a directory is not ours, and never changed.
MARKER = "bucket-layout"
PARTS = ("blob", "archive", "replica", "private", MARKER)


def main() -> None:
    """Become what runs the verb in the arguments."""
    for name, value in DEFAULTS.items():
        os.environ[name] = os.environ.get(name, "").strip() or value
    if os.geteuid() == 0:
        give_store(Path(os.environ["ARCHIVE_DIR"]))
        stop_being_root()
    os.execv(sys.executable, [sys.executable, "-m", "httpbucket", *sys.argv[1:]])


def give_store(path: Path) -> None:
    """Make the store the service user's where it is missing, empty, or root's.

    Whatever cannot be done is left: the server says in a sentence what is wrong with its store.
    """
    if not path.is_absolute() or ".." in path.parts:
        return
    try:
        root = _open_made(path)
    except OSError:
        return
    try:
        _give(root, path)
    except OSError as error:
        _say(f"ARCHIVE_DIR {path} cannot be given to user {SERVICE}: {error.strerror}.")
    finally:
        os.close(root)


def stop_being_root() -> None:
    """Become the service user for good: real, effective and saved, with no further group."""
    try:
        os.setgroups([])
        os.setgid(SERVICE)
        os.setuid(SERVICE)
    except PermissionError:
        sys.exit(
            f"Cannot change from root to user {SERVICE}: give the container the capabilities "
            f"SETUID and SETGID, or start it with --user {SERVICE}:{SERVICE}."
        )


def _open_made(path: Path) -> int:
    """A link is not followed: who may write beside the store would lead root elsewhere."""
    before = os.umask(0o022)
    try:
        path.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _give(root: int, path: Path) -> None:
    owner = os.fstat(root).st_uid
    if owner == SERVICE:
        return
    if not set(os.listdir(root)) - {"lost+found"}:
        os.fchown(root, SERVICE, SERVICE)
    elif owner != 0:
        _say(
            f"ARCHIVE_DIR {path} belongs to user {owner} and stays so; "
            f"to write it as its owner, start the container with --user {owner}."
        )
    elif _is_store_of_root(root):
        _say(f"Giving the store in {path} from root to user {SERVICE}.")
        _give_all(root)


def _is_store_of_root(root: int) -> bool:
    """Whether root alone can have put the marker there: not in /tmp, where everybody writes."""
    try:
        marker = os.stat(MARKER, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(marker.st_mode) and not os.fstat(root).st_mode & 0o022


def _give_all(root: int) -> None:
    """Give what is root's on this file system; the top comes last, so that a crash is made good."""
    device = os.fstat(root).st_dev
    for part in PARTS:
        with suppress(FileNotFoundError):
            _give_entry(part, root, device)
    os.fchown(root, SERVICE, SERVICE)


def _give_entry(name: str, directory: int, device: int) -> None:
    """Give what is below before the entry itself, which root may not be able to enter after it."""
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if found.st_dev != device:
        return
    if stat.S_ISDIR(found.st_mode):
        _give_entries(name, directory, device)
    if found.st_uid == 0:
        # Of a link, the link itself.
        os.chown(name, SERVICE, SERVICE, dir_fd=directory, follow_symlinks=False)


def _give_entries(name: str, directory: int, device: int) -> None:
    below: int = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        for entry in os.listdir(below):
            _give_entry(entry, below, device)
    finally:
        os.close(below)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
