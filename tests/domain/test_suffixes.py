"""A file, its decompressed form and its tree lie side by side under names of their own."""

import pytest

from httpbucket.domain.suffixes import archive_stem, decompressed_name, stays_packed, tree_name


@pytest.mark.parametrize(
    ("name", "decompressed", "tree"),
    [
        ("log.gz", "log", "log.gz.d"),
        ("app.log.zst", "app.log", "app.log.zst.d"),
        ("x.tar.gz", "x.tar", "x"),
        ("x.TGZ", "x.tar", "x"),
        ("x.tbz2", "x.tar", "x"),
        ("x.zip", "x.zip.decompressed", "x"),
        ("x.tar", "x.tar.decompressed", "x"),
        ("app.jar", "app.jar.decompressed", "app.jar.d"),
        ("noext", "noext.decompressed", "noext.d"),
        ("_.tar.gz", "_.tar", "_"),
        ("zip", "zip.decompressed", "zip.d"),
    ],
)
def test_what_is_inside_a_file_is_named_after_it(name: str, decompressed: str, tree: str) -> None:
    assert (decompressed_name(name), tree_name(name)) == (decompressed, tree)
    assert len({name, decompressed, tree}) == 3


def test_a_name_without_archive_suffixes_is_its_own_stem() -> None:
    assert [archive_stem(name) for name in ("x.tar.xz", "v1.2.zip", "backup")] == [
        "x",
        "v1.2",
        "backup",
    ]


def test_suffixes_that_stay_packed_are_known_in_any_case() -> None:
    assert stays_packed("App.JAR", [".jar"])
    assert not stays_packed("jar", [".jar"])
