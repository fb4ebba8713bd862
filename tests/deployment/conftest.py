"""A directory that every user can reach, as a container's directories are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def module_directory() -> Iterator[Path]:
    """For a module's tests together."""
    yield from _open_directory()


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """For one test; the directories that pytest makes are their user's alone."""
    yield from _open_directory()


def _open_directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="http-bucket-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)
