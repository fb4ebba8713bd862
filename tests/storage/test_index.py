"""The contract of `Index`, in memory and in SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import partial

import pytest

from httpbucket.domain.blob import Descriptor
from httpbucket.domain.digest import Digest, sha256
from httpbucket.domain.manifest import ManifestEntry, read_manifest
from httpbucket.domain.search import UploadFilter
from httpbucket.domain.upload import Record, Replica, UploadId
from httpbucket.storage.base import FoundUploads, Index, KnownBlob, Manifest, Totals
from tests.examples import NOW, descriptor, file_of, identity, record_of, tree_of, upload_id

ONE, OTHER = descriptor(b"one"), descriptor(b"other")
MD5_OF_BOTH = "0123456789abcdef0123456789abcdef"
COLLIDING = [
    Descriptor({"md5": MD5_OF_BOTH, "sha256": letter * 64}, 5, 7, "text/plain") for letter in "ab"
]


@contextmanager
def breaking_off() -> Iterator[Manifest]:
    """A manifest whose second entry cannot be read."""
    _, text = tree_of(b"archive", [ManifestEntry("a.txt", OTHER)])
    yield Manifest(*read_manifest([*text.splitlines(), b"{half an ent"]))


class TestIndex:
    def test_a_new_index_knows_nothing_and_says_that_it_is_unsure(self, index: Index) -> None:
        assert index.find(ONE.sha256) == ()
        assert index.describe(ONE.sha256) is None
        assert index.has_upload(upload_id()) is False
        assert (index.is_complete(), index.agreed_day()) == (False, "")

    def test_a_blob_is_found_by_every_digest_that_its_record_names(self, index: Index) -> None:
        index.add(record_of(ONE), None)
        assert len(ONE.all_digests()) == 3
        for digest in ONE.all_digests():
            assert index.find(digest) == (ONE.sha256,)

    def test_the_same_hex_under_another_algorithm_is_another_digest(self, index: Index) -> None:
        index.add(record_of(ONE), None)
        assert index.find(Digest("sha3_256", ONE.sha256.hex)) == ()
        assert index.find(Digest("md4", ONE.digests["md5"])) == ()

    def test_a_blob_is_described_with_a_name_that_an_upload_gives_it(self, index: Index) -> None:
        index.add(record_of(ONE, name="日本語.xml"), None)
        assert index.describe(ONE.sha256) == KnownBlob(ONE, "日本語.xml")

    def test_taking_an_upload_in_may_be_repeated(self, index: Index) -> None:
        for _ in range(3):
            index.add(record_of(ONE), None)
        assert index.find(ONE.sha256) == (ONE.sha256,)
        assert index.has_upload(upload_id())

    def test_only_the_upload_that_was_taken_in_is_known(self, index: Index) -> None:
        index.add(record_of(ONE, number=1), None)
        assert index.has_upload(upload_id(1)) is True
        assert index.has_upload(upload_id(2)) is False

    def test_two_contents_of_one_md5_are_both_found(self, index: Index) -> None:
        for number, blob in enumerate(COLLIDING):
            index.add(record_of(blob, number=number), None)
        assert index.find(Digest("md5", MD5_OF_BOTH)) == (sha256("a" * 64), sha256("b" * 64))
        assert index.find(sha256("b" * 64)) == (sha256("b" * 64),)

    def test_the_decompressed_form_is_found_as_well(self, index: Index) -> None:
        record = record_of(ONE)
        index.add(replace(record, decompressed=replace(file_of(record), blob=OTHER)), None)
        assert index.find(Digest("md5", OTHER.digests["md5"])) == (OTHER.sha256,)

    def test_the_members_of_a_tree_are_found_by_every_digest(self, index: Index) -> None:
        tree, text = tree_of(
            b"one", [ManifestEntry("a/b.txt", OTHER), ManifestEntry("empty", None)]
        )
        for _ in range(2):
            index.add(
                replace(record_of(ONE), tree=tree), Manifest(*read_manifest(text.splitlines()))
            )
        for digest in OTHER.all_digests():
            assert index.find(digest) == (OTHER.sha256,)
        assert index.describe(OTHER.sha256) == KnownBlob(OTHER, "b.txt")

    def test_digests_that_a_later_upload_adds_are_found_beside_the_earlier(
        self, index: Index
    ) -> None:
        index.add(record_of(descriptor(b"one", algorithms=["md5"])), None)
        index.add(record_of(descriptor(b"one", algorithms=["sha512"]), number=1), None)
        for digest in ONE.all_digests():
            assert index.find(digest) == (ONE.sha256,)

    def test_every_member_of_a_large_tree_is_found(self, index: Index) -> None:
        members = [descriptor(b"%d" % number) for number in range(5000)]
        entries = [ManifestEntry(f"{blob.sha256.hex}.txt", blob) for blob in members]
        tree, text = tree_of(b"archive", [*entries, ManifestEntry("once more.txt", members[0])])
        record = replace(record_of(ONE), tree=tree)
        index.add(record, Manifest(*read_manifest(text.splitlines())))
        values = {bytes.fromhex(blob.digests["md5"]): blob.sha256.value for blob in members}
        assert dict(index.find_many("md5", list(values))) == values
        assert index.describe(members[0].sha256) == KnownBlob(members[0], entries[0].path)

    def test_a_manifest_that_breaks_off_changes_nothing(self, index: Index) -> None:
        tree, _ = tree_of(b"one", [])
        with breaking_off() as manifest, pytest.raises(ValueError, match=r"."):
            index.add(replace(record_of(ONE), tree=tree), manifest)
        assert index.has_upload(upload_id()) is False
        assert index.find(ONE.sha256) == ()
        assert index.find(OTHER.sha256) == ()

    def test_a_name_that_was_never_unicode_does_not_keep_the_content_out(
        self, index: Index
    ) -> None:
        index.add(record_of(ONE, name="caf\udce9.xml"), None)
        assert index.find(ONE.sha256) == (ONE.sha256,)
        known = index.describe(ONE.sha256)
        assert known is not None
        assert known.filename.startswith("caf")

    def test_completeness_is_remembered_with_its_day(self, index: Index) -> None:
        index.mark_complete(agreed_day="2026/11/19")
        assert (index.is_complete(), index.agreed_day()) == (True, "2026/11/19")

    def test_an_incomplete_index_still_agrees_up_to_its_day(self, index: Index) -> None:
        index.mark_complete(agreed_day="2026/11/19")
        index.mark_incomplete()
        assert (index.is_complete(), index.agreed_day()) == (False, "2026/11/19")

    def test_marking_may_be_repeated(self, index: Index) -> None:
        index.mark_incomplete()
        index.mark_incomplete()
        index.mark_complete(agreed_day="2026/11/19")
        index.mark_complete(agreed_day="2026/11/20")
        assert (index.is_complete(), index.agreed_day()) == (True, "2026/11/20")

    @pytest.mark.parametrize("complete", [False, True])
    def test_what_is_known_is_found_in_every_state(self, index: Index, complete: bool) -> None:
        if complete:
            index.mark_complete(agreed_day="2026/11/19")
        index.add(record_of(ONE), None)
        assert index.find(ONE.sha256) == (ONE.sha256,)
        assert index.find(identity(b"unknown")) == ()

    def test_it_goes_on_after_being_closed(self, index: Index) -> None:
        index.add(record_of(ONE), None)
        index.close()
        index.close()
        assert index.find(ONE.sha256) == (ONE.sha256,)

    def test_preparing_a_good_index_changes_nothing(self, index: Index) -> None:
        index.add(record_of(ONE), None)
        index.mark_complete(agreed_day="2026/11/19")
        index.close()
        index.prepare()
        assert index.is_complete()
        assert index.find(ONE.sha256) == (ONE.sha256,)

    def test_a_replica_leads_to_its_upload(self, index: Index) -> None:
        path = "replica/user/bob/results.20261121.1432.0.xml"
        replicas = (Replica(path, "uploaded", ("results.latest.xml",)),)
        for _ in range(2):
            index.add(replace(record_of(ONE), replicas=replicas), None)
        assert index.find_replica(path) == upload_id()
        assert index.find_replica("replica/user/bob/results.latest.xml") is None

    def test_the_newest_uploads_come_first_and_then_the_older_ones(self, index: Index) -> None:
        for days in (1, 3, 0, 2):
            index.add(record_of(ONE, days=days), None)
        find = partial(index.find_uploads, UploadFilter(), limit=3)
        newest = find().ids
        assert newest == (upload_id(days=3), upload_id(days=2), upload_id(days=1))
        assert find(before=str(newest[-1])).ids == (upload_id(),)
        assert find(before=str(upload_id())).ids == ()


def found(index: Index, wanted: UploadFilter, *, before: str = "") -> list[UploadId]:
    """All that fit, however many answers it takes; each holds two at most."""
    page = index.find_uploads(wanted, before=before, limit=2)
    rest = found(index, wanted, before=page.next_before) if page.next_before else []
    return [*page.ids, *rest]


def add_with_headers(index: Index, days: int, **headers: str) -> Record:
    record = replace(record_of(ONE, days=days), headers=headers)
    index.add(record, None)
    return record


class TestFindUploads:
    def test_without_a_wish_all_are_found_the_newest_first_and_page_by_page(
        self, index: Index
    ) -> None:
        for days in (1, 4, 0, 3, 2):
            index.add(record_of(ONE, days=days), None)
        page = index.find_uploads(UploadFilter(), limit=2)
        assert page.ids == (upload_id(days=4), upload_id(days=3))
        assert page.next_before == str(upload_id(days=3))
        assert found(index, UploadFilter()) == [upload_id(days=days) for days in (4, 3, 2, 1, 0)]

    def test_the_last_page_says_that_it_is_the_last_even_when_it_is_full(
        self, index: Index
    ) -> None:
        for days in range(2):
            index.add(record_of(ONE, days=days), None)
        assert index.find_uploads(UploadFilter(), limit=2).next_before is None

    @pytest.mark.parametrize(
        ("name", "part", "fits"),
        [
            ("Results.XML", "sults.x", True),
            ("results.xml", "RESULTS", True),
            ("Straße.log", "STRASSE", True),
            ("café.xml", "cafe\u0301", True),
            ("results.xml", "", True),
            ("results.xml", "result_", False),
            ("results.xml", "%", False),
            ("100%_.xml", "%_", True),
            ("caf\udce9.xml", "caf", True),
            ("results.xml", "results.xml.gz", False),
        ],
    )
    def test_a_part_of_the_name_is_enough(
        self, index: Index, name: str, part: str, fits: bool
    ) -> None:
        index.add(record_of(ONE, name=name), None)
        assert found(index, UploadFilter(name=part)) == ([upload_id()] if fits else [])

    def test_a_header_fits_by_its_whole_value_and_by_its_name_in_either_case(
        self, index: Index
    ) -> None:
        for days, topic in enumerate(["demo", "demo2", "Demo", "demo"]):
            add_with_headers(index, days, topic=topic)
        wanted = UploadFilter(headers={"Topic": "demo"})
        assert found(index, wanted) == [upload_id(days=3), upload_id()]
        assert found(index, UploadFilter(headers={"user": "demo"})) == []

    def test_several_headers_have_to_fit_together(self, index: Index) -> None:
        add_with_headers(index, 0, topic="demo", user="bob")
        add_with_headers(index, 1, topic="demo", user="eve")
        add_with_headers(index, 2, topic="other", user="bob")
        wanted = UploadFilter(headers={"topic": "demo", "user": "bob"})
        assert found(index, wanted) == [upload_id()]

    def test_what_was_uploaded_decompressed_or_unpacked_is_content(self, index: Index) -> None:
        record = record_of(ONE)
        index.add(replace(record, decompressed=replace(file_of(record), blob=OTHER)), None)
        tree, text = tree_of(b"x", [ManifestEntry("a/b.txt", OTHER)])
        for days in (1, 2):
            packed = replace(record_of(descriptor(b"packed"), days=days), tree=tree)
            index.add(packed, Manifest(*read_manifest(text.splitlines())))
        newest_first = [upload_id(days=days) for days in (2, 1, 0)]
        assert found(index, UploadFilter(contents=(OTHER.sha256,))) == newest_first
        assert found(index, UploadFilter(contents=(ONE.sha256,))) == [upload_id()]

    def test_one_of_several_contents_is_enough_and_of_none_nothing_is(self, index: Index) -> None:
        index.add(record_of(ONE), None)
        index.add(record_of(OTHER, days=1), None)
        both = UploadFilter(contents=(ONE.sha256, OTHER.sha256))
        assert found(index, both) == [upload_id(days=1), upload_id()]
        assert found(index, UploadFilter(contents=())) == []

    @pytest.mark.parametrize(
        ("since", "count"),
        [
            (datetime.min.replace(tzinfo=UTC), 3),
            (NOW, 3),
            (NOW + timedelta(milliseconds=1), 2),
            (NOW.astimezone(timezone(timedelta(hours=-9))) + timedelta(days=1), 2),
            (NOW + timedelta(days=3), 0),
        ],
    )
    def test_only_uploads_since_a_moment_fit(
        self, index: Index, since: datetime, count: int
    ) -> None:
        for days in range(3):
            add_with_headers(index, days, topic="demo")
        for wanted in (UploadFilter(since=since), UploadFilter(since=since, name="results")):
            assert len(found(index, wanted)) == count
        by_header = UploadFilter(since=since, headers={"topic": "demo"})
        by_content = UploadFilter(since=since, contents=(ONE.sha256,))
        assert len(found(index, by_header)) == len(found(index, by_content)) == count

    def test_everything_that_is_given_has_to_fit(self, index: Index) -> None:
        add_with_headers(index, 0, topic="demo")
        fitting = UploadFilter("results", (ONE.sha256,), {"topic": "demo"}, NOW)
        assert found(index, fitting) == [upload_id()]
        for other in (
            replace(fitting, name="other"),
            replace(fitting, contents=(OTHER.sha256,)),
            replace(fitting, headers={"topic": "other"}),
            replace(fitting, since=NOW + timedelta(days=1)),
        ):
            assert found(index, other) == []

    def test_taking_in_again_finds_it_once(self, index: Index) -> None:
        for _ in range(2):
            add_with_headers(index, 0, topic="demo")
        assert found(index, UploadFilter(headers={"topic": "demo"})) == [upload_id()]


class TestRemoving:
    def test_what_only_a_removed_upload_named_is_unknown(self, index: Index) -> None:
        replicas = (Replica("replica/user/bob/a.20261121.1432.0", "uploaded"),)
        record = replace(record_of(ONE), replicas=replicas, headers={"username": "bob"})
        index.add(record, None)
        for _ in range(2):
            index.remove(record, None)
        assert index.has_upload(record.id) is False
        assert [index.find(digest) for digest in ONE.all_digests()] == [()] * 3
        assert index.describe(ONE.sha256) is None
        assert index.find_replica(replicas[0].path) is None
        assert index.find_uploads(UploadFilter(headers={"username": "bob"}), limit=9).ids == ()
        assert index.find_uploads(UploadFilter(), limit=9).ids == ()
        assert index.unnamed([ONE.sha256]) == (ONE.sha256,)

    def test_what_another_upload_names_stays_known(self, index: Index) -> None:
        for number in range(2):
            index.add(record_of(ONE, number=number), None)
        index.remove(record_of(ONE, number=0), None)
        assert index.find(ONE.sha256) == (ONE.sha256,)
        assert index.unnamed([ONE.sha256, OTHER.sha256]) == (OTHER.sha256,)
        assert index.find_uploads(UploadFilter(), limit=9).ids == (upload_id(1),)

    def test_a_tree_s_members_go_with_the_last_upload_that_has_it(self, index: Index) -> None:
        first, second = (record_with_tree(number) for number in range(2))
        for record in (first, second):
            with manifest_of_tree() as manifest:
                index.add(record, manifest)
        assert second.manifest is not None
        named = [OTHER.sha256, second.manifest]
        with manifest_of_tree() as manifest:
            index.remove(first, manifest)
        assert index.find(OTHER.sha256) == (OTHER.sha256,)
        assert index.unnamed(named) == ()
        assert index.find_unpacked(ONE.sha256) == (second.id,)
        with manifest_of_tree() as manifest:
            index.remove(second, manifest)
        assert index.find(OTHER.sha256) == ()
        assert index.unnamed(named) == tuple(named)
        assert index.find_unpacked(ONE.sha256) == ()

    def test_a_tree_goes_though_its_manifest_cannot_be_read(self, index: Index) -> None:
        record = record_with_tree(0)
        with manifest_of_tree() as manifest:
            index.add(record, manifest)
        index.remove(record, None)
        assert index.find(OTHER.sha256) == ()

    def test_a_manifest_that_could_not_be_read_is_named_all_the_same(self, index: Index) -> None:
        record = record_with_tree(0)
        index.add(record, None)
        assert record.manifest is not None
        assert index.unnamed([record.manifest]) == ()

    def test_a_removed_tree_can_come_again(self, index: Index) -> None:
        for number in range(2):
            with manifest_of_tree() as manifest:
                index.add(record_with_tree(number), manifest)
            assert index.find(OTHER.sha256) == (OTHER.sha256,)
            with manifest_of_tree() as manifest:
                index.remove(record_with_tree(number), manifest)

    def test_uploads_without_a_record_are_forgotten_with_all_that_only_they_named(
        self, index: Index
    ) -> None:
        before = index.totals()
        records = [full_record(number) for number in range(3)]
        for record in records:
            with manifest_of_tree() as manifest:
                index.add(record, manifest)
        index.forget_uploads([records[0].id, records[2].id])
        assert index.uploads(limit=9) == [records[1].id]
        assert index.find(OTHER.sha256) == (OTHER.sha256,)
        assert index.find_replica(records[1].replicas[0].path) == records[1].id
        assert index.find_unpacked(ONE.sha256) == (records[1].id,)
        index.forget_uploads([records[1].id, records[1].id])
        index.forget_uploads([records[1].id])
        assert index.totals() == before
        for blob in (ONE, OTHER):
            assert not any(index.find(digest) for digest in blob.all_digests())
        assert index.unnamed([ONE.sha256, OTHER.sha256]) == (ONE.sha256, OTHER.sha256)
        assert index.find_replica(records[1].replicas[0].path) is None
        assert index.find_retried("job 1", since=NOW - timedelta(days=1)) == ()
        found = index.find_uploads(UploadFilter(headers={"user": "bob"}), limit=9)
        assert found == FoundUploads((), None)

    def test_uploads_are_told_in_order_and_portions(self, index: Index) -> None:
        records = [record_of(ONE, number=number) for number in (3, 1, 2)]
        for record in records:
            index.add(record, None)
        ids = sorted(record.id for record in records)
        assert list(index.uploads(limit=2)) == ids[:2]
        assert list(index.uploads(after=str(ids[1]), limit=2)) == ids[2:]

    def test_a_path_that_another_upload_took_over_stays(self, index: Index) -> None:
        replicas = (Replica("replica/user/bob/a.20261121.1432.0", "uploaded"),)
        first, second = (
            replace(record_of(ONE, number=number), replicas=replicas) for number in range(2)
        )
        index.add(first, None)
        index.add(second, None)
        index.remove(first, None)
        assert index.find_replica(replicas[0].path) == second.id
        index.forget_replica(replicas[0].path, first.id)
        assert index.find_replica(replicas[0].path) == second.id
        index.forget_replica(replicas[0].path, second.id)
        assert index.find_replica(replicas[0].path) is None


TREE_ENTRIES = [ManifestEntry("a.txt", OTHER), ManifestEntry("b/a.txt", OTHER)]


def record_with_tree(number: int) -> Record:
    """An upload of ``ONE`` that was unpacked to `TREE_ENTRIES`."""
    return replace(record_of(ONE, number=number), tree=tree_of(b"archive", TREE_ENTRIES)[0])


def full_record(number: int) -> Record:
    """The same with everything that the index remembers of an upload."""
    return replace(
        record_with_tree(number),
        replicas=(Replica(f"replica/user/bob/a.20261121.1432.{number}", "uploaded"),),
        headers={"user": "bob"},
        idempotency_key=f"job {number}",
    )


@contextmanager
def manifest_of_tree() -> Iterator[Manifest]:
    """The manifest of `TREE_ENTRIES`, to be read once."""
    _, text = tree_of(b"archive", TREE_ENTRIES)
    yield Manifest(*read_manifest(text.splitlines(keepends=True)))


class TestTotals:
    def test_a_new_index_has_counted_nothing(self, index: Index) -> None:
        assert index.totals() == Totals(0, 0, 0, 0)

    def test_uploads_count_each_and_equal_contents_once(self, index: Index) -> None:
        for number in range(3):
            index.add(record_of(ONE, number=number), None)
        index.add(record_of(OTHER, number=3), None)
        assert index.totals() == Totals(4, 3 * 3 + 5, 2, 3 + 5)

    def test_taking_in_again_counts_nothing_twice(self, index: Index) -> None:
        for _ in range(3):
            index.add(record_of(ONE), None)
        index.add(record_of(descriptor(b"one", algorithms=["sha1"])), None)
        assert index.totals() == Totals(1, 3, 1, 3)

    def test_an_upload_shows_its_decompressed_form_and_its_tree(self, index: Index) -> None:
        members = [ManifestEntry(name, OTHER) for name in ("a", "b")]
        tree, text = tree_of(b"x", [*members, ManifestEntry("empty", None)])
        packed = record_of(descriptor(b"packed"))
        decompressed = replace(file_of(packed), blob=ONE)
        record = replace(packed, decompressed=decompressed, tree=replace(tree, size=10))
        index.add(record, Manifest(*read_manifest(text.splitlines())))
        assert index.totals() == Totals(1, 6 + 3 + 10, 3, 6 + 3 + 5)

    def test_a_manifest_that_breaks_off_is_not_counted(self, index: Index) -> None:
        tree, _ = tree_of(b"one", [])
        with breaking_off() as manifest, pytest.raises(ValueError, match=r"."):
            index.add(replace(record_of(ONE), tree=tree), manifest)
        assert index.totals() == Totals(0, 0, 0, 0)


def test_many_blobs_are_described_at_once(index: Index) -> None:
    contents = [b"%d" % number for number in range(40)]
    for number, content in enumerate(contents):
        index.add(record_of(descriptor(content), number=number), None)
    asked = {identity(content).value for content in (*contents, b"unknown")}
    assert index.describe_many(asked) == {
        identity(content).value: descriptor(content) for content in contents
    }
    assert index.describe_many(set()) == {}
