"""Archive files made to do harm: kept as they came, told, and nothing else happens.

Each is answered 200, with a tree or with a finding. Nothing appears outside the tree, nothing stays
in staging, and no worker grows beyond what one unpacking may take.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import (
    COMPRESSORS,
    ZipEntry,
    base256,
    overlapping_zip,
    pax,
    tar,
    tar_member,
    zip_end,
    zip_file,
    zstd_with_window,
)
from tests.live.server import LiveServer
from tests.live.test_uploads import forget_peak, peak_memory
from tests.live.trees import Tree, problems, tree_of
from tests.live.wire import multipart

MIB = 1024**2

#: What a worker may grow by: any upload, and one unpacking beside it.
MOST_GROWTH = (64 + 80) * MIB

GOOD = tar_member("good", b"good")
MARK = b"must never be written outside"

#: Names that make an archive file hostile, in a tar and in a zip.
UNSAFE_NAMES = {
    "absolute": "/tmp/http-bucket-evil",
    "parent": "../evil",
    "parents": "a/../../../../evil",
    "drive": "C:/evil",
    "backslashes": "a\\..\\..\\evil",
    "control": "a\x07b",
    "newline": "a\nb",
    "bidirectional": "gnp\u202e.exe",
    "long part": "n" * 256,
}

TOO_MUCH = "unpack-limit"
TARS: dict[str, tuple[bytes, str]] = {
    "nul in a PAX name": (tar(pax({"path": "a\0.exe"}), GOOD), "unsafe-member-name"),
    "PAX name against header": (tar(pax({"path": "../evil"}), GOOD), "unsafe-member-name"),
    "300 levels": (tar(pax({"path": "d/" * 300 + "x"}), GOOD), TOO_MUCH),
    "path of 2000 bytes": (tar(pax({"path": "/".join(["n" * 99] * 20)}), GOOD), TOO_MUCH),
    "negative size": (tar(GOOD, tar_member("x", size=base256(-1))), "corrupt-archive"),
    "negative size, octal": (tar(GOOD, tar_member("x", size=b"-0000000001\0")), "corrupt-archive"),
    "size of 8 EiB": (
        tar(GOOD, tar_member("x", size=base256(2**63 - 1))),
        "truncated-archive",
    ),
    "negative PAX size": (tar(pax({"size": "-512"}), GOOD), "corrupt-archive"),
    "lying size": (tar(tar_member("x", b"1", size=10**6), end=b""), "truncated-archive"),
    "PAX of 1 GiB": (tar(tar_member("x", size=2**30, kind=b"x")), "unsupported-archive"),
    "60 KB of PAX digits": (
        tar(tar_member("x", b"9" * 60_000, kind=b"x"), GOOD),
        "corrupt-archive",
    ),
    "GNU name of 1 GiB": (tar(tar_member("x", size=2**30, kind=b"L")), "unsupported-archive"),
    "no end": (tar(GOOD, end=b""), "truncated-archive"),
}

LEFT_OUT: dict[str, tuple[bytes, str, Tree]] = {
    "symlink and write through it": (
        tar(tar_member("door", kind=b"2", linkname="/tmp"), tar_member("door/evil", MARK)),
        "link-left-out",
        {"door/evil": MARK},
    ),
    "symlink to the parent": (
        tar(GOOD, tar_member("up", kind=b"2", linkname="../../..")),
        "link-left-out",
        {"good": b"good"},
    ),
    "hardlink to outside": (
        tar(GOOD, tar_member("shadow", kind=b"1", linkname="/etc/shadow")),
        "link-left-out",
        {"good": b"good"},
    ),
    "hardlink to the parent": (
        tar(GOOD, tar_member("x", kind=b"1", linkname="../../../bucket-layout")),
        "link-left-out",
        {"good": b"good"},
    ),
    "symlinks in a circle": (
        tar(
            GOOD,
            tar_member("a", kind=b"2", linkname="b"),
            tar_member("b", kind=b"2", linkname="a"),
        ),
        "link-left-out",
        {"good": b"good"},
    ),
    "FIFO": (tar(GOOD, tar_member("f", kind=b"6")), "member-left-out", {"good": b"good"}),
    "FIFO, then its name": (
        tar(tar_member("f", kind=b"6"), tar_member("f", b"first")),
        "member-left-out",
        {"f": b"first"},
    ),
    "FIFO of a file's name": (
        tar(tar_member("f", b"second"), tar_member("f", kind=b"6")),
        "member-left-out",
        {"f": b"second"},
    ),
    "block device": (tar(GOOD, tar_member("d", kind=b"4")), "member-left-out", {"good": b"good"}),
    "character device": (
        tar(GOOD, tar_member("null", kind=b"3")),
        "member-left-out",
        {"good": b"good"},
    ),
    "file that is a directory": (
        tar(tar_member("a", b"1"), tar_member("a/b", b"2")),
        "file-is-directory",
        {"a/b": b"2"},
    ),
    "duplicates": (
        tar(tar_member("a", b"1"), tar_member("a", b"2")),
        "duplicate-member",
        {"a": b"2"},
    ),
}

ZIPS: dict[str, tuple[bytes, str]] = {
    "nul": (zip_file(ZipEntry("a.txt\0.exe", b"1")), "unsafe-member-name"),
    "encrypted": (zip_file(ZipEntry("x", b"1", flags=1)), "encrypted-archive"),
    "AES": (
        zip_file(ZipEntry("x", b"1", flags=1, method=99, stored=b"1")),
        "encrypted-archive",
    ),
    "says less": (zip_file(ZipEntry("x", bytes(MIB), size=10)), "corrupt-archive"),
    "says more": (zip_file(ZipEntry("x", b"0123456789", size=2**32 - 2)), "corrupt-archive"),
    "wrong checksum": (zip_file(ZipEntry("x", b"1", crc32=7)), "corrupt-archive"),
    "two names": (zip_file(ZipEntry("x", b"1", local_name=b"../x")), "corrupt-archive"),
    "overlapping": (overlapping_zip(200, bytes(MIB)), "corrupt-archive"),
    "ten million members": (zip_file(ZipEntry("x", b"1"), count=65_535), "corrupt-archive"),
    "offset beyond": (zip_file(ZipEntry("x", b"1", offset=2**31)), "corrupt-archive"),
}


def upload_safely(server: LiveServer, content: bytes, filename: str) -> dict[str, Any]:
    """Upload, and look whether anything is where it should not be."""
    receipt = server.upload(content, filename)
    assert server.staged_names() == []
    assert (server.archive / receipt["path"]["blob"]).stat().st_size == len(content)
    if receipt["path"]["archive"] is None:
        upload = server.archive / receipt["path"]["upload"]
        assert all(path.is_file() for path in upload.iterdir())
    return receipt


@pytest.fixture(scope="module")
def careful_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One worker, whose memory is measured over the whole catalogue."""
    directory = tmp_path_factory.mktemp("careful")
    with LiveServer(
        directory, WEB_CONCURRENCY="1", UNPACK_MAX_BYTES="128mb", FSYNC="off"
    ) as server:
        server.upload(COMPRESSORS["gzip"](tar(GOOD)), "warm-up.tgz")
        (worker,) = server.workers()
        idle = forget_peak(worker)
        outside = names_outside(directory, server)
        yield server
        assert server.workers() == [worker]
        assert peak_memory(worker) - idle < MOST_GROWTH
        assert names_outside(directory, server) == outside
        assert not Path("/tmp/http-bucket-evil").exists()
        assert "Traceback" not in server.log


def names_outside(directory: Path, server: LiveServer) -> set[Path]:
    """What lies around the store, and on its first level."""
    return {*directory.iterdir(), *directory.parent.iterdir(), *server.archive.iterdir()}


@pytest.mark.parametrize("name", UNSAFE_NAMES.values(), ids=UNSAFE_NAMES)
def test_one_unsafe_name_keeps_all_of_an_archive_file_packed(
    careful_server: LiveServer, name: str
) -> None:
    for content, filename in (
        (tar(GOOD, pax({"path": name}), tar_member("x", MARK)), "a.tar"),
        (zip_file(ZipEntry("good", b"good"), ZipEntry(name, MARK)), "a.zip"),
    ):
        receipt = upload_safely(careful_server, content, filename)
        assert problems(receipt) == ["unsafe-member-name"]
        assert receipt["path"]["archive"] is None


@pytest.mark.parametrize("case", TARS)
def test_a_hostile_tar_stays_packed(careful_server: LiveServer, case: str) -> None:
    content, problem = TARS[case]
    assert problems(upload_safely(careful_server, content, "a.tar")) == [problem]


@pytest.mark.parametrize("case", ZIPS)
def test_a_hostile_zip_stays_packed(careful_server: LiveServer, case: str) -> None:
    content, problem = ZIPS[case]
    assert problems(upload_safely(careful_server, content, "a.zip")) == [problem]


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_no_plain_file_is_left_out(careful_server: LiveServer, case: str) -> None:
    content, problem, tree = LEFT_OUT[case]
    receipt = upload_safely(careful_server, content, "a.tar")
    assert {*problems(receipt)} == {problem}
    assert tree_of(careful_server, receipt) == tree


@pytest.mark.parametrize("compression", COMPRESSORS)
@pytest.mark.parametrize("inside", ["zeros", "a tar's member"])
def test_ten_gibibytes_of_zeros_end_early(
    careful_server: LiveServer, compression: str, inside: str
) -> None:
    head = tar_member("zeros", size=base256(10 * 1024**3)) if inside != "zeros" else b""
    members = [COMPRESSORS[compression](head)] * bool(head)
    members += [COMPRESSORS[compression](bytes(32 * MIB))] * 320
    receipt = upload_safely(careful_server, b"".join(members), "bomb.tgz")
    assert problems(receipt) == [TOO_MUCH]
    assert "UNPACK_MAX_BYTES" in receipt["upload"]["findings"][0]["sentence"]
    assert receipt["path"]["decompressed"] is None


def test_a_million_empty_members_end_early(careful_server: LiveServer) -> None:
    headers = COMPRESSORS["gzip"](tar_member("x") * 10_000)
    receipt = upload_safely(careful_server, headers * 100, "million.tgz")
    assert problems(receipt) == [TOO_MUCH]


def test_a_zip_of_more_members_than_may_be_ends_early(careful_server: LiveServer) -> None:
    entry = ZipEntry("x")
    local, central = entry.local(), entry.central(0)
    many = local + central * 300_000 + zip_end(300_000, len(central) * 300_000, len(local))
    assert problems(upload_safely(careful_server, many, "many.zip"))


def test_of_zips_within_zips_only_the_first_is_opened(careful_server: LiveServer) -> None:
    content = bytes(16 * MIB)
    for level in range(5):
        inner = zip_file(ZipEntry("inner", content))
        content = zip_file(*(ZipEntry(f"{level}-{copy}.zip", inner) for copy in range(16)))
    receipt = upload_safely(careful_server, content, "42.zip")
    tree = tree_of(careful_server, receipt)
    assert sorted(tree) == sorted(f"4-{copy}.zip" for copy in range(16))


@pytest.mark.parametrize("log", [27, 30, 31])
def test_a_window_beyond_memory_is_refused(careful_server: LiveServer, log: int) -> None:
    receipt = upload_safely(careful_server, zstd_with_window(bytes(1000), log), "window.zst")
    assert problems(receipt) == ["unsupported-archive"]


def samples() -> dict[str, bytes]:
    """Honest archive files of about 16 KiB each."""
    content = random.Random(7).randbytes(6000)
    plain = tar(tar_member("a", content), tar_member("b", content[::-1]))
    packed = {f"{name}.tar": compress(plain) for name, compress in COMPRESSORS.items()}
    zipped = zip_file(ZipEntry("a", content), ZipEntry("b", content[::-1], method=0))
    return {"plain.tar": plain, "a.zip": zipped, **packed}


@pytest.mark.parametrize("name", samples())
def test_cut_short_at_any_kilobyte_it_is_never_half_a_tree(
    careful_server: LiveServer, name: str
) -> None:
    whole = samples()[name]
    tree = tree_of(careful_server, upload_safely(careful_server, whole, name))
    for size in range(1024, len(whole) - 512, 1024):
        receipt = upload_safely(careful_server, whole[:size], name)
        if receipt["path"]["archive"]:
            assert tree_of(careful_server, receipt) == tree
        else:
            assert receipt["upload"]["findings"] or receipt["upload"]["media_type"]


@pytest.mark.parametrize("name", samples())
def test_random_bytes_behind_a_magic_do_no_harm(careful_server: LiveServer, name: str) -> None:
    for seed in range(20):
        magic = samples()[name][: random.Random(seed).choice((6, 30, 300, 600))]
        upload_safely(careful_server, magic + random.Random(seed).randbytes(5000), name)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.sampled_from(sorted(samples())), changes=st.data())
def test_flipped_bytes_do_no_harm(
    careful_server: LiveServer, name: str, changes: st.DataObject
) -> None:
    content = bytearray(samples()[name])
    places = st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)
    for place in changes.draw(places):
        content[place] = changes.draw(st.integers(0, 255))
    upload_safely(careful_server, bytes(content), name)


def test_a_tar_that_is_called_a_zip_is_a_tar(careful_server: LiveServer) -> None:
    receipt = upload_safely(careful_server, tar(GOOD), "a.zip")
    assert tree_of(careful_server, receipt) == {"good": b"good"}


@pytest.mark.parametrize(
    ("content", "status", "problem"),
    [
        (tar(tar_member("../evil", MARK)), 422, "unsafe-member-name"),
        (tar(GOOD)[:700], 422, "truncated-archive"),
        (COMPRESSORS["bzip2"](bytes(32 * MIB)) * 320, 413, TOO_MUCH),
    ],
)
def test_where_unpacking_is_required_nothing_of_it_is_kept(
    careful_server: LiveServer, content: bytes, status: int, problem: str
) -> None:
    body, kind = multipart(content + b"\0", "a.tar")
    before = {*careful_server.archive.rglob("*")}
    answer = careful_server.request(
        "POST", "/upload", body, {"Content-Type": kind, "Unpack": "require"}
    )
    assert (answer.status, answer.problem) == (status, problem)
    assert {*careful_server.archive.rglob("*")} == before
