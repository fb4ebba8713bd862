"""Replicas are numbered within their minute, and what is last has a stable name."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.filename import kept_filename
from httpbucket.domain.replica import (
    Outcome,
    ReplicaName,
    Series,
    in_series,
    looks_like_replica,
    minute_stamp,
    next_number,
    result_outcome,
)
from httpbucket.domain.suffixes import decompressed_name

MINUTE = "20261121.1432"

# Names made of what names are mistaken for, and of anything.
PIECES = st.lists(
    st.sampled_from(
        [
            "x",
            "_",
            ".",
            "latest",
            ".latest",
            "-pass",
            "20261121",
            ".1432",
            ".0",
            ".gz",
            ".tar",
            "_latest",
            "~1044579154d8e3d8",
            "é",
            " ",
        ]
    ),
    min_size=1,
    max_size=8,
).map("".join)
FILENAMES = (PIECES | st.text(min_size=1)).map(kept_filename)
NUMBERS = st.integers(0, 10**20)


@pytest.mark.parametrize(
    ("filename", "numbered", "latest"),
    [
        ("results.xml", f"results.{MINUTE}.0.xml", "results.latest.xml"),
        ("x.tar.gz", f"x.{MINUTE}.0.tar.gz", "x.latest.tar.gz"),
        ("_.tar.gz", f"_.{MINUTE}.0.tar.gz", "_.latest.tar.gz"),
        ("noext", f"noext.{MINUTE}.0", "noext.latest"),
        ("a.", f"a..{MINUTE}.0", "a..latest"),
        (
            "archive.latest.tgz",
            f"archive_latest~1044579154d8e3d8.{MINUTE}.0.tgz",
            "archive_latest~1044579154d8e3d8.latest.tgz",
        ),
        ("log.gz", f"log.{MINUTE}.0.gz", "log.latest.gz"),
        ("app-1.2", f"app-1.2.{MINUTE}.0", "app-1.2.latest"),
        ("backup.20260101.0000", f"backup.20260101.0000.{MINUTE}.0", "backup.20260101.0000.latest"),
        ("日本語.txt", f"日本語.{MINUTE}.0.txt", "日本語.latest.txt"),
    ],
)
def test_a_file_is_numbered_in_front_of_its_extension(
    filename: str, numbered: str, latest: str
) -> None:
    series = Series.of_file(filename)
    assert (str(series.numbered(MINUTE, 0)), series.latest()) == (numbered, latest)


@pytest.mark.parametrize("filename", ["results.tgz", "results.tar.gz", "results.zip", "results"])
def test_a_tree_is_a_directory_without_the_suffixes_of_archives(filename: str) -> None:
    assert str(Series.of_tree(filename).numbered(MINUTE, 7)) == f"results.{MINUTE}.7"
    assert Series.of_tree(filename).latest("fail") == "results.latest-fail"


@pytest.mark.parametrize(
    "filename",
    [
        "x.latest",
        "x.latest.gz",
        "x.latest-pass.xml",
        "x.20261121.1432.0",
        "x.20261121.1432.0.xml",
        "x.20261121.1432.0abc",
        "x.20261121.1432.99.tar.gz",
        "x.latestgz.gz",
    ],
)
def test_a_filename_that_looks_like_a_replica_loses_its_dots(filename: str) -> None:
    series = Series.of_file(filename)
    assert not looks_like_replica(series.stem + series.extension)
    assert "." not in series.stem
    assert series.stem.startswith("x_")


def test_a_compressed_file_and_the_stream_inside_share_their_stem() -> None:
    for filename in ("log.gz", "log.latest.gz", "app-1.2.xz", "log.20261121.1432.0.zst"):
        inside = decompressed_name(filename)
        assert Series.of_file(filename).stem == Series.of_file(inside).stem


@given(FILENAMES, FILENAMES)
def test_two_filenames_never_share_a_series(one: str, other: str) -> None:
    assert (Series.of_file(one) == Series.of_file(other)) == (one == other)


def test_a_filename_made_to_look_like_a_changed_one_is_changed_as_well() -> None:
    made = Series.of_file("archive.latest.tgz")
    assert Series.of_file(made.stem + made.extension) != made


@given(FILENAMES, NUMBERS, st.sampled_from([None, "pass", "fail"]))
def test_a_numbered_name_reads_back_and_a_latest_is_none(
    filename: str, number: int, outcome: Outcome | None
) -> None:
    for series in (Series.of_file(filename), Series.of_tree(filename)):
        name = series.numbered(MINUTE, number)
        assert ReplicaName.parse(str(name)) == name
        assert ReplicaName.parse(series.latest(outcome)) is None


@given(st.text(min_size=1).map(lambda text: kept_filename(text * 100)), NUMBERS)
def test_whole_names_fit_the_file_system(filename: str, number: int) -> None:
    for name in (filename, decompressed_name(filename)):
        for series in (Series.of_file(name), Series.of_tree(name)):
            assert len(str(series.numbered(MINUTE, number)).encode()) <= 255
            assert len(series.latest("pass").encode()) <= 255


def test_the_longest_filename_that_is_changed_still_fits() -> None:
    name = kept_filename(f"{'é' * 200}.latest.tar.gz")
    assert len(name.encode()) >= 179
    inside = decompressed_name(kept_filename(f"{'é' * 84}.latest"))
    for series in map(Series.of_file, (name, inside)):
        assert len(str(series.numbered(MINUTE, 10**20)).encode()) <= 255


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "results.xml",
        "results.latest.xml",
        "results.20261121.1432.xml",
        "results.20261121.1432.01.xml",
        "results.20261121.1432.0xml",
        "results.2026112.1432.0.xml",
        "results.٢٠٢٦١١٢١.1432.0.xml",
        ".20261121.1432.0",
    ],
)
def test_other_entries_are_no_numbered_names(entry: str) -> None:
    assert ReplicaName.parse(entry) is None


@pytest.mark.parametrize(
    ("entries", "number"),
    [
        ([], 0),
        ([f"x.{MINUTE}.0.xml"], 1),
        ([f"x.{MINUTE}.9.xml", f"x.{MINUTE}.10.xml"], 11),
        ([f"x.{MINUTE}.70000.xml"], 70001),
        (["x.20261121.1431.5.xml"], 0),
        ([f"x.{MINUTE}.5"], 0),
        ([f"x.{MINUTE}.5.tar.xml"], 0),
        ([f"y.x.{MINUTE}.5.xml"], 0),
        ([f"x.{MINUTE}.xml", "x.latest.xml", f"x.{MINUTE}.٣.xml"], 0),
    ],
)
def test_the_next_number_follows_the_highest_of_its_minute(entries: list[str], number: int) -> None:
    assert next_number(entries, [Series("x", ".xml")], MINUTE) == number


@given(FILENAMES, st.lists(st.integers(0, 5), max_size=5))
def test_numbers_have_no_holes(filename: str, others: list[int]) -> None:
    series = Series.of_file(filename)
    entries = [f"other.{MINUTE}.{number}" for number in others]
    for expected in range(12):
        number = next_number(entries, [series], MINUTE)
        assert number == expected
        entries.append(str(series.numbered(MINUTE, number)))


def test_the_newest_is_by_minute_and_then_by_number() -> None:
    series = Series("x", ".xml")
    entries = ["x.latest.xml", "x.20261121.1432.9.xml", "x.20261121.1432.10.xml", "x.1.xml"]
    found = in_series(entries, series)
    assert found[0] == series.numbered(MINUTE, 10)
    assert found == sorted(found, reverse=True)
    later = in_series([*entries, "x.20270101.0000.0.xml"], series)
    assert later[0] == series.numbered("20270101.0000", 0)
    assert in_series(["x.latest.xml", f"x.{MINUTE}.0"], series) == []


def test_the_minute_is_in_utc() -> None:
    assert minute_stamp(datetime(2026, 11, 21, 14, 32, 59, tzinfo=UTC)) == MINUTE
    zone = timezone(timedelta(hours=9))
    assert minute_stamp(datetime(2026, 11, 21, 23, 32, tzinfo=zone)) == MINUTE
    assert minute_stamp(datetime(1, 1, 1, tzinfo=UTC)) == "00010101.0000"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("pass", ["pass", "passed", "Success", "OK", " ok "]),
        ("fail", ["fail", "FAILED", "failure", "Error"]),
        (None, ["", "skipped", "passing", "not ok", "0"]),
    ],
)
def test_a_result_is_a_pass_a_fail_or_neither(outcome: Outcome | None, words: list[str]) -> None:
    assert {result_outcome(word) for word in words} == {outcome}
