"""The contract of `Staging` and `StagedFile`, on every backend."""

from httpbucket.storage.local.staging import SMALL_BYTES
from httpbucket.wiring import Stores
from tests.backends import Backend
from tests.examples import identity, stage


class TestStaging:
    def test_a_staged_file_reads_back_what_was_written(self, stores: Stores) -> None:
        staged = stage(stores.staging, b"one ")
        staged.write(bytearray(b"two "))
        staged.write(memoryview(b"three"))
        with staged.open() as reader:
            assert reader.read() == b"one two three"
        assert staged.size == 13
        staged.discard()

    def test_a_reader_starts_at_the_beginning_and_can_seek(self, stores: Stores) -> None:
        staged = stage(stores.staging, b"0123456789")
        with staged.open() as first, staged.open() as second:
            first.seek(5)
            assert (first.read(), second.read(3)) == (b"56789", b"012")
        staged.discard()

    def test_writing_goes_on_after_a_reader_was_opened(self, stores: Stores) -> None:
        staged = stage(stores.staging, b"one")
        with staged.open() as reader:
            assert reader.read() == b"one"
        staged.write(b" two")
        with staged.open() as reader:
            assert reader.read() == b"one two"
        staged.discard()

    def test_a_new_staged_file_is_empty(self, stores: Stores) -> None:
        staged = stores.staging.create()
        with staged.open() as reader:
            assert (staged.size, reader.read()) == (0, b"")
        staged.discard()

    def test_pieces_of_any_size_may_be_written(self, stores: Stores) -> None:
        staged = stores.staging.create()
        for piece in (b"", b"x" * 3_000_000, b""):
            staged.write(piece)
        assert staged.size == 3_000_000
        staged.discard()

    def test_what_rests_can_be_read_and_kept(self, stores: Stores) -> None:
        staged = stores.staging.create()
        staged.write(b"content")
        staged.rest()
        with staged.open() as reader:
            assert reader.read() == b"content"
        assert stores.blobs.keep(staged, identity(b"content"))
        staged.discard()
        with stores.blobs.open(identity(b"content")) as reader:
            assert reader.read() == b"content"

    def test_what_rests_and_is_discarded_is_gone(self, backend: Backend) -> None:
        staged = backend.stores.staging.create()
        staged.write(b"content")
        staged.rest()
        staged.discard()
        assert backend.staged() == []

    def test_staged_files_do_not_see_each_other(self, stores: Stores) -> None:
        first, second = stage(stores.staging, b"first"), stage(stores.staging, b"second")
        with first.open() as reader:
            assert reader.read() == b"first"
        first.discard()
        with second.open() as reader:
            assert reader.read() == b"second"
        second.discard()

    def test_discarding_may_be_repeated_and_leaves_nothing(self, backend: Backend) -> None:
        staged = stage(backend.stores.staging, bytes(SMALL_BYTES + 1))
        assert len(backend.staged()) == 1
        staged.discard()
        staged.discard()
        assert backend.staged() == []

    def test_a_sweep_spares_what_this_process_is_receiving(self, stores: Stores) -> None:
        staged = stage(stores.staging, b"on its way")
        assert stores.staging.sweep() == 0
        with staged.open() as reader:
            assert reader.read() == b"on its way"
        staged.discard()
