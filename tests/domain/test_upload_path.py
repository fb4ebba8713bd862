"""Folders that clients name stay below their upload, and distinct."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.errors import BucketError, EmptyFilename, InvalidPath
from httpbucket.domain.upload_path import MAX_FOLDER_BYTES, UploadPath, safe_folder


@pytest.mark.parametrize(
    ("text", "folder", "name"),
    [
        ("results.xml", "", "results.xml"),
        ("a/b/results.xml", "a/b", "results.xml"),
        ("/a//./b/results.xml", "a/b", "results.xml"),
        ("日本/x y/ü.txt", "日本/x y", "ü.txt"),
        (".git/config", "_.git", "config"),
        (".upload.json", "", "_.upload.json"),
        ("a\\b/c\\d.txt", "a_b", "d.txt"),
        ("a\nb/c", "a_b", "c"),
        ("...", "", "file"),
    ],
)
def test_every_part_is_made_safe(text: str, folder: str, name: str) -> None:
    assert UploadPath.parse(text) == UploadPath(folder, name)


def test_a_path_may_lie_below_another() -> None:
    assert UploadPath.parse("b/c.txt", below="x/a/") == UploadPath("x/a/b", "c.txt")


@pytest.mark.parametrize("text", ["", "a/", "/"])
def test_what_ends_with_a_slash_names_no_file(text: str) -> None:
    with pytest.raises(EmptyFilename):
        UploadPath.parse(text)


@pytest.mark.parametrize(
    "text", ["..", "a/../b", "../a", "/".join("a" * 33), "/".join(["b" * 180] * 6)]
)
def test_what_leads_out_or_is_too_deep_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(InvalidPath):
        safe_folder(text)


def test_a_long_part_is_cut_and_stays_distinct() -> None:
    first, second = safe_folder("a" * 300 + "1"), safe_folder("a" * 300 + "2")
    assert first != second
    assert max(len(first), len(second)) <= 180


@given(st.text())
def test_no_text_leads_out(text: str) -> None:
    try:
        path = UploadPath.parse(text)
    except BucketError:
        return
    parts = [*path.folder.split("/"), path.name] if path.folder else [path.name]
    assert all(part and not part.startswith(".") and "\0" not in part for part in parts)
    assert len(path.folder.encode()) <= MAX_FOLDER_BYTES
