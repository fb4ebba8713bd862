"""The contract of uploads that come in pieces, and what the local backend adds to it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import StorageFull
from httpbucket.domain.partial import PartialBusy, PartialId, PartialNotFound, PartialUpload
from httpbucket.storage.local.layout import Layout
from httpbucket.wiring import Stores, open_local
from tests.backends import local_backend
from tests.examples import identity, upload_id

ID = PartialId("0123456789abcdef0123456789abcdef")
PARTIAL = PartialUpload(ID, 10, {"filename": "a.txt", "topic": "nächtlich"}, "filename YQ==")


@pytest.fixture(autouse=True)
def begun(stores: Stores) -> None:
    stores.partials.create(PARTIAL)


def appended(stores: Stores, *pieces: bytes) -> None:
    with stores.partials.hold(ID, seconds=1) as held:
        for piece in pieces:
            held.append(piece)
        held.sync()


def content(stores: Stores) -> bytes:
    with stores.partials.hold(ID, seconds=1) as held, held.open() as reader:
        return reader.read()


def test_what_was_said_comes_back(stores: Stores) -> None:
    with stores.partials.hold(ID, seconds=1) as held:
        assert (held.partial, held.size) == (PARTIAL, 0)


def test_pieces_follow_each_other_over_several_holds(stores: Stores) -> None:
    appended(stores, b"one", b"two")
    appended(stores, b"three")
    assert content(stores) == b"onetwothree"


def test_bytes_at_the_end_can_be_forgotten(stores: Stores) -> None:
    appended(stores, b"kept and not")
    with stores.partials.hold(ID, seconds=1) as held:
        held.cut(4)
        held.append(b"!")
    assert content(stores) == b"kept!"


def test_bytes_that_are_trusted_after_all_stay(stores: Stores) -> None:
    with stores.partials.hold(ID, seconds=1) as held:
        held.doubt()
        held.append(b"good")
        held.trust()
    assert content(stores) == b"good"


def test_all_of_it_is_a_staged_file_and_stays_here_as_well(stores: Stores) -> None:
    appended(stores, b"0123456789")
    with stores.partials.hold(ID, seconds=1) as held:
        staged = held.staged()
        with staged.open() as reader:
            assert (staged.size, reader.read()) == (10, b"0123456789")
        staged.discard()
    assert content(stores) == b"0123456789"


def test_a_finished_one_says_what_it_became_and_has_all_its_bytes(stores: Stores) -> None:
    appended(stores, b"0123456789")
    with stores.partials.hold(ID, seconds=1) as held:
        held.finish(upload_id(7))
    with stores.partials.hold(ID, seconds=1) as held:
        assert (held.partial.upload, held.size) == (upload_id(7), 10)


def test_a_removed_one_is_not_there_any_more(stores: Stores) -> None:
    with stores.partials.hold(ID, seconds=1) as held:
        held.remove()
    with pytest.raises(PartialNotFound), stores.partials.hold(ID, seconds=1):
        pass


def test_only_idle_ones_expire(stores: Stores) -> None:
    with stores.partials.hold(ID, seconds=1) as held:
        modified = held.modified
    assert stores.partials.expire(modified - 1) == 0
    assert stores.partials.expire(modified + 1) == 1
    with pytest.raises(PartialNotFound), stores.partials.hold(ID, seconds=1):
        pass


def test_one_that_is_held_is_busy(stores: Stores) -> None:
    with (
        stores.partials.hold(ID, seconds=1),
        pytest.raises(PartialBusy),
        stores.partials.hold(ID, seconds=0.05),
    ):
        pass


def test_who_holds_it_is_told_that_it_is_wanted(stores: Stores) -> None:
    held, wanted = threading.Event(), threading.Event()

    def hold() -> None:
        with stores.partials.hold(ID, seconds=1) as mine, mine.when_wanted(wanted.set):
            held.set()
            wanted.wait(20)
            mine.append(b"as far as it came")

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)
    assert content(stores) == b"as far as it came"
    thread.join()


def leave_bytes(stores: Stores, layout: Layout) -> Path:
    """What is there when a process dies at the end of finishing: where the bytes are."""
    appended(stores, b"0123456789")
    path = layout.partial_uploads / str(ID) / "bytes"
    with stores.partials.hold(ID, seconds=1) as held:
        held.finish(upload_id(7))
    path.write_bytes(b"0123456789")
    return path


class TestOnDisk:
    """What the local backend does when processes die."""

    @pytest.fixture
    def stores(self, local: Stores) -> Stores:
        return local

    def test_doubted_bytes_of_a_process_that_died_are_forgotten(
        self, stores: Stores, layout: Layout
    ) -> None:
        appended(stores, b"sure ")
        with stores.partials.hold(ID, seconds=1) as held:
            held.doubt()
            held.append(b"doubted")
        assert content(stores) == b"sure "
        appended(stores, b"again")
        assert content(stores) == b"sure again"

    def test_a_process_that_died_while_it_began_to_doubt_takes_nothing_away(
        self, stores: Stores, layout: Layout
    ) -> None:
        appended(stores, b"sure")
        (layout.partial_uploads / str(ID) / "doubted").touch()
        assert content(stores) == b"sure"

    def test_one_that_was_not_written_whole_is_not_there(
        self, stores: Stores, layout: Layout
    ) -> None:
        (layout.partial_uploads / str(ID) / "upload.json").write_bytes(b'{"id": ')
        with pytest.raises(PartialNotFound), stores.partials.hold(ID, seconds=1):
            pass

    def test_another_process_goes_on(self, stores: Stores, root: Path) -> None:
        appended(stores, b"one ")
        other = local_backend(root)
        appended(other.stores, b"two")
        other.stores.index.close()
        assert content(stores) == b"one two"

    def test_bytes_of_a_finished_one_that_a_process_left_are_forgotten(
        self, stores: Stores, layout: Layout
    ) -> None:
        left = leave_bytes(stores, layout)
        assert stores.partials.sweep() == 1
        assert left.exists() is False
        assert stores.partials.sweep() == 0

    def test_whoever_asks_for_it_forgets_them_as_well(self, stores: Stores, layout: Layout) -> None:
        left = leave_bytes(stores, layout)
        with stores.partials.hold(ID, seconds=1) as held:
            assert (held.partial.upload, held.size) == (upload_id(7), 10)
        assert left.exists() is False

    def test_those_of_unfinished_ones_stay(self, stores: Stores) -> None:
        appended(stores, b"0123456789")
        assert stores.partials.sweep() == 0
        assert content(stores) == b"0123456789"

    def test_nobody_calls_a_blob_named_for_bytes_that_are_still_here(self, stores: Stores) -> None:
        appended(stores, b"0123456789")
        blob = identity(b"0123456789")
        with stores.partials.hold(ID, seconds=1) as held:
            staged = held.staged()
            stores.blobs.keep(staged, blob)
            assert stores.blobs.is_named(blob) is None
            staged.discard()
        assert stores.blobs.is_named(blob) is None

    def test_all_that_were_begun_have_to_fit_into_the_quota(self, root: Path) -> None:
        environ = {"ARCHIVE_DIR": str(root), "MAX_STORE_BYTES": "25"}
        stores = open_local(Settings.from_environ(environ))
        others = [PartialUpload(PartialId(f"{number:032x}"), 10) for number in range(4)]
        stores.partials.create(others[0])
        with pytest.raises(StorageFull, match="MAX_STORE_BYTES"):
            stores.partials.create(others[1])
        with stores.partials.hold(others[0].id, seconds=1) as held:
            held.finish(upload_id(7))
        stores.partials.create(others[2])
        with stores.partials.hold(ID, seconds=1) as held:
            held.remove()
        stores.partials.create(others[3])
        stores.index.close()

    def test_nothing_of_it_is_for_others_to_read(self, stores: Stores, layout: Layout) -> None:
        path = layout.partial_uploads / str(ID)
        modes = {name.name: name.stat().st_mode & 0o777 for name in path.iterdir()}
        assert modes == {"bytes": 0o600, "upload.json": 0o600}
        assert path.stat().st_mode & 0o777 == 0o700
