"""The operator's verbs: what they print, what they do, and how they end."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from httpbucket.cli import scrub
from httpbucket.config import Settings
from httpbucket.domain.upload import Record, UploadId
from httpbucket.wiring import build, open_local
from tests.builders import tar, tar_member
from tests.cli.conftest import Store
from tests.examples import file_of, identity, keep_staged
from tests.faults import MortalDisk
from tests.processes import was_killed

_COLLECT = ["collect", "--despite-lost-leases"]
_DELETING_VERBS = (["expire"], _COLLECT)
_JSON_VERBS = (*_DELETING_VERBS, ["scrub"], ["reindex"], ["stats"])


@pytest.mark.parametrize("verb", _JSON_VERBS, ids=lambda verb: verb[0])
def test_every_verb_prints_one_json_document_and_nothing_on_the_error_stream(
    store: Store, verb: list[str]
) -> None:
    store.upload(b"content")
    ended = store.call(*verb, "--json")
    assert (ended.status, ended.err) == (0, "")
    assert isinstance(ended.told, dict)


@pytest.mark.parametrize("verb", [*_JSON_VERBS, ["why", "0" * 64]], ids=lambda verb: verb[0])
def test_a_directory_that_holds_no_store_is_told_and_left_alone(
    store: Store, verb: list[str], tmp_path: Path
) -> None:
    ended = store.call(*verb, ARCHIVE_DIR=str(tmp_path / "nothing"))
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert "holds no store" in ended.err
    assert not (tmp_path / "nothing").exists()


def test_nobody_but_the_owner_of_the_store_may_call_a_verb(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    with monkeypatch.context() as patch:
        patch.setattr("os.geteuid", lambda: owner + 1)
        ended = store.call("collect")
    assert (ended.status, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert f"belongs to user {owner}" in ended.err


def test_mistaken_settings_end_with_2(store: Store) -> None:
    ended = store.call("stats", DIGESTS="nonsense")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("DIGESTS: ")


def test_ctrl_c_ends_with_130(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(scrub, "run", interrupted)
    assert store.call("scrub").status == 130


class TestStats:
    def test_it_tells_what_is_kept(self, store: Store) -> None:
        store.upload(b"content")
        store.upload(b"content", "b.txt")
        told = store.call("stats", "--json").told
        assert (told["uploads"], told["blobs"], told["saved_size"]) == (2, 1, 7)
        lines = dict(line.split("  ", 1) for line in store.call("stats").out.splitlines())
        assert lines["uploads"].strip() == "2"


def delete_until(store: Store, upload: UploadId, number: int) -> bool:
    """Delete in a process that is killed at its call to the disk of this number, if there is one.

    Whether there was.
    """

    def delete() -> None:
        disk = MortalDisk()
        settings = Settings.from_environ(store.environ)
        services = build(settings, open_local(settings, disk=disk))
        disk.arm(number, 0)
        services.delete.upload(upload)

    return was_killed(delete)


@pytest.mark.parametrize("verb", _DELETING_VERBS, ids=lambda verb: verb[0])
def test_a_verb_finishes_what_another_was_deleting_when_it_was_killed(
    store: Store, verb: list[str]
) -> None:
    store.stores.index.mark_complete(agreed_day="")
    for number in itertools.count():
        record = store.upload(tar(tar_member("a.txt", b"member %d" % number)), "tree.tar")
        store.upload(b"the latest but for this one %d" % number, "b.txt")
        before = public_names(store)
        is_killed = delete_until(store, record.id, number)
        assert store.call(*verb).status == 0
        if store.stores.records.has(record.id):
            assert public_names(store) == before
            store.services.delete.upload(record.id)
        assert_gone(store, record)
        if not is_killed:
            break
    assert number > 10


def test_a_verb_reads_the_records_that_another_left_unread_when_it_was_killed(store: Store) -> None:
    store.upload(b"one")
    store.stores.index.mark_incomplete()
    assert store.call("expire").status == 0
    assert store.stores.index.is_complete()


def public_names(store: Store) -> set[str]:
    """Every name but those of contents."""
    roots = (store.layout.archive, store.layout.replicas)
    return {str(path) for root in roots for path in root.rglob("*")}


def assert_gone(store: Store, record: Record) -> None:
    assert [name for name in public_names(store) if "tree." in name] == []
    assert [*store.layout.trash.iterdir(), *store.layout.redo.iterdir()] == []
    assert store.stores.index.has_upload(record.id) is False
    # What it came to free last is collected, and nothing of the killed process holds it.
    store.call(*_COLLECT, COLLECT_GRACE_SECONDS="0")
    assert record.tree
    contents = [file_of(record).blob, record.tree.manifest]
    assert [store.stores.blobs.size(one.sha256) for one in contents] == [None, None]


class TestScrub:
    def test_a_rotten_content_is_told_with_its_uploads_now_and_as_long_as_it_is_lost(
        self, store: Store
    ) -> None:
        record = store.upload(b"content")
        store.spoil(record)
        ended = store.call("scrub")
        assert ended.status == 1
        told = f"{identity(b'content')}, named by {record.id}"
        assert ended.out.splitlines()[0] == f"rotten: {told}"
        again = store.call("scrub")
        assert (again.status, again.out.splitlines()[0]) == (1, f"lost: {told}")
        store.upload(b"content")
        healed = store.call("scrub", "--json")
        assert (healed.status, healed.told["healed"]) == (0, [str(identity(b"content"))])

    def test_good_flipped_truncated_and_foreign_files_are_told_apart(self, store: Store) -> None:
        store.upload(b"good")
        flipped, truncated = store.upload(b"flipped"), store.upload(b"truncated")
        store.spoil(flipped)
        path = store.layout.blob(file_of(truncated).blob.sha256)
        path.chmod(0o600)
        os.truncate(path, 3)
        (path.parent / "foreign.txt").write_bytes(b"x")
        told = store.call("scrub", "--json").told
        rotten = {one["blob"] for one in told["rotten"]}
        assert rotten == {str(identity(b"flipped")), str(identity(b"truncated"))}
        directory = path.parent.relative_to(store.layout.root)
        assert told["strangers"] == [f"{directory}/foreign.txt"]
        assert store.layout.blob(identity(b"good")).read_bytes() == b"good"

    def test_digests_that_became_wanted_later_are_filled_in(self, store: Store) -> None:
        store.upload(b"content")
        assert store.call("why", "sha1:040f06fd774092478d450774f5ba30c5da78acc8").status == 1
        ended = store.call("scrub", CHECKSUM_TYPE="sha1")
        assert (ended.status, "1 blobs are found by" in ended.out) == (0, True)
        assert store.call("why", "sha1:040f06fd774092478d450774f5ba30c5da78acc8").status == 0
        assert store.call("scrub", "--json", CHECKSUM_TYPE="sha1").told["described"] == 0

    def test_it_goes_on_where_it_was_stopped_unless_told_to_restart(self, store: Store) -> None:
        for number in range(20):
            store.upload(f"{number}".encode())
        blobs = list(store.stores.blobs.digests())
        pass_ = store.services.scrub_by_hand
        pass_.go_on(pass_.begin(datetime.now(UTC)), may_go_on=lambda blob: blob < blobs[12])
        ended = store.call("scrub", "--json")
        assert ended.told["blobs"] == len(blobs) - 12
        assert ended.err.startswith("Going on at ")
        assert store.call("scrub", "--json").told["blobs"] == len(blobs)
        pass_.go_on(pass_.begin(datetime.now(UTC)), may_go_on=lambda blob: blob < blobs[12])
        assert store.call("scrub", "--json", "--restart").told["blobs"] == len(blobs)

    def test_the_rate_is_kept(self, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
        store.upload(bytes(64 * 1024))
        assert store.call("scrub", "--rate", "64kb").status == 0
        for rate in ("0", "nonsense"):
            with pytest.raises(SystemExit) as ended:
                store.call("scrub", "--rate", rate)
            assert ended.value.code == 2
            assert "argument --rate" in capsys.readouterr().err


class TestReindex:
    def test_the_index_is_made_anew(self, store: Store) -> None:
        record = store.upload(b"content")
        ghost = replace(record, id=type(record.id).new(record.received, 1))
        store.stores.index.add(ghost, None)
        ended = store.call("reindex", "--json")
        assert (ended.status, ended.told["taken_in"]) == (0, 1)
        assert store.stores.index.has_upload(record.id) is True
        assert store.stores.index.has_upload(ghost.id) is False
        assert store.stores.index.is_complete() is True

    def test_names_get_their_contents_again(self, store: Store) -> None:
        record = store.upload(b"content")
        name = store.layout.upload(record.id) / "a.txt"
        name.unlink()
        assert store.call("reindex", "--index-only").status == 0
        assert not name.exists()
        ended = store.call("reindex")
        assert (ended.status, "1 names made right" in ended.out) == (0, True)
        assert name.read_bytes() == b"content"

    def test_names_that_nothing_can_fill_end_it_with_1(self, store: Store) -> None:
        record = store.upload(b"content")
        for path in (
            store.layout.blob(identity(b"content")),
            store.layout.upload(record.id) / "a.txt",
            *(store.layout.root / replica.path for replica in record.replicas),
        ):
            path.unlink()
        ended = store.call("reindex")
        assert ended.status == 1
        assert f"lost: {record.id.directory}/a.txt" in ended.out

    def test_two_at_once_do_not_mix(self, store: Store) -> None:
        with store.stores.only_one("reindex"):
            ended = store.call("reindex")
        assert (ended.status, ended.out) == (1, "")
        assert "wait for it" in ended.err


class TestExpire:
    def test_a_dry_run_says_what_the_run_does_then(self, store: Store) -> None:
        record = store.upload(b"content", days=1)
        store.upload(b"stays")
        past = datetime.now(UTC) - timedelta(days=1)
        store.stores.records.amend(record.id, lambda found: replace(found, expires=past))
        plan = store.call("expire", "--dry-run", "--json").told
        (upload,) = plan["uploads"]
        assert (upload["upload"], upload["reason"]) == (str(record.id), "expired")
        assert plan["unique_bytes"] == 7
        assert str(record.id) in store.call("expire", "--dry-run").out
        assert store.call("expire", "--json").told == {"uploads": 1, "bytes_freed": 7}
        assert not store.layout.upload(record.id).exists()


class TestCollect:
    def test_a_dry_run_says_what_the_run_does_then(self, store: Store) -> None:
        store.upload(b"stays")
        keep_staged(store.stores, b"orphan")
        told = store.call("collect", "--dry-run", "--json", COLLECT_GRACE_SECONDS="0").told
        assert told["freed"] == [{"blob": str(identity(b"orphan")), "size": 6}]
        assert store.stores.blobs.size(identity(b"orphan")) == 6
        shown = store.call("collect", "--dry-run", COLLECT_GRACE_SECONDS="0").out
        assert shown.startswith(str(identity(b"orphan")))
        refused = store.call("collect", COLLECT_GRACE_SECONDS="0")
        assert (refused.status, "is not known" in refused.err) == (1, True)
        ended = store.call("collect", "--despite-lost-leases", COLLECT_GRACE_SECONDS="0")
        assert (ended.status, ended.out.startswith("Freed 1 of ")) == (0, True)
        assert store.stores.blobs.size(identity(b"orphan")) is None
        assert store.stores.blobs.size(identity(b"stays")) == 5


class TestWhy:
    def test_every_name_is_told_with_who_put_it_there(self, store: Store) -> None:
        single = store.upload(b"member", "single.txt", days=3)
        tree = store.upload(tar(tar_member("sub/m.txt", b"member")), "t.tar")
        (kept,) = store.call("why", identity(b"member").hex, "--json").told["contents"]
        assert (kept["kept"], kept["size"], kept["files"]) == (True, 6, 1)
        paths = {upload["upload"]: upload["paths"] for upload in kept["uploads"]}
        assert paths == {
            str(tree.id): [
                f"{tree.id.directory}/t/sub/m.txt",
                f"{tree.replicas[0].path}/sub/m.txt",
            ],
            str(single.id): [f"{single.id.directory}/single.txt", single.replicas[0].path],
        }
        assert kept["names"] == 4
        (ending,) = [one for one in kept["uploads"] if one["upload"] == str(single.id)]
        assert ending["headers"] == {"username": "bob"}
        assert ending["expires"] is not None
        shown = store.call("why", identity(b"member").hex).out
        assert "username: bob" in shown
        assert all(path in shown for every in paths.values() for path in every)

    def test_the_list_of_a_tree_is_held_by_the_upload(self, store: Store) -> None:
        tree = store.upload(tar(tar_member("sub/m.txt", b"member")), "t.tar")
        assert tree.manifest
        assert str(tree.id) in store.call("why", str(tree.manifest)).out

    def test_what_no_upload_names_is_told_as_such(self, store: Store) -> None:
        keep_staged(store.stores, b"orphan")
        ended = store.call("why", str(identity(b"orphan")))
        assert (ended.status, "no upload names it" in ended.out) == (0, True)

    def test_a_lease_and_quarantine_are_told(self, store: Store) -> None:
        record = store.upload(b"content")
        until = datetime(2100, 1, 1, tzinfo=UTC)
        past = datetime.now(UTC) - timedelta(days=1)
        store.stores.index.add(replace(record, expires=past), None)
        store.stores.index.lease([identity(b"content").value], at_least=until, until=until)
        store.spoil(record)
        store.call("scrub")
        (kept,) = store.call("why", identity(b"content").hex, "--json").told["contents"]
        assert (kept["kept"], kept["quarantined"]) == (False, True)
        assert kept["lease_until"] == until.isoformat()

    def test_what_is_not_kept_ends_with_1_and_what_is_no_digest_with_2(self, store: Store) -> None:
        assert store.call("why", "0" * 64).status == 1
        assert store.call("why", "nonsense").status == 2
