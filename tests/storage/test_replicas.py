"""The contract of `Replicas`, on every backend."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from httpbucket.domain.errors import StorageFull
from httpbucket.wiring import Stores
from tests.storage.replica_uploads import (
    BOB,
    EVE,
    MINUTE,
    compressed_upload,
    entries,
    file_upload,
    held,
    name_of,
    publish,
    publish_next,
    tree_upload,
)


class TestReplicas:
    def test_a_directory_that_is_not_there_has_no_entries(self, stores: Stores) -> None:
        assert entries(stores) == []

    def test_asking_for_entries_makes_nothing(self, stores: Stores) -> None:
        assert entries(stores, "replica/user/bob/demo") == []
        assert entries(stores, "replica/user/bob") == []
        assert entries(stores, "replica/user") == []

    def test_a_file_appears_beside_its_latest(self, stores: Stores) -> None:
        publish(stores, file_upload(stores))
        assert entries(stores) == [name_of(0), "results.latest.xml"]

    def test_the_next_upload_adds_a_name_and_moves_latest(self, stores: Stores) -> None:
        for number in range(3):
            publish(stores, file_upload(stores, number))
        assert entries(stores) == [name_of(0), name_of(1), name_of(2), "results.latest.xml"]

    def test_a_compressed_file_appears_with_the_stream_inside(self, stores: Stores) -> None:
        publish(stores, compressed_upload(stores))
        names = [f"log.{MINUTE}.0", f"log.{MINUTE}.0.gz", "log.latest", "log.latest.gz"]
        assert entries(stores) == names

    def test_a_tree_appears_as_one_name(self, stores: Stores) -> None:
        publish(stores, tree_upload(stores))
        assert entries(stores) == [f"results.{MINUTE}.0", "results.latest"]

    def test_one_upload_appears_in_several_directories(self, stores: Stores) -> None:
        publish(stores, file_upload(stores, directories=[BOB, EVE]))
        assert entries(stores, BOB) == entries(stores, EVE) == [name_of(0), "results.latest.xml"]

    def test_several_latest_links_are_moved(self, stores: Stores) -> None:
        record = file_upload(stores)
        links = ("results.latest.xml", "results.latest-pass.xml")
        publish(stores, replace(record, replicas=(replace(record.replicas[0], latest=links),)))
        assert entries(stores) == sorted([name_of(0), *links])

    def test_a_directory_may_hold_others(self, stores: Stores) -> None:
        publish(stores, file_upload(stores, 0, directories=[f"{BOB}/demo"]))
        publish(stores, file_upload(stores, 1, directories=[BOB]))
        assert {name_of(1), "results.latest.xml"} <= set(entries(stores, BOB))
        assert entries(stores, f"{BOB}/demo") == [name_of(0), "results.latest.xml"]

    def test_nothing_appears_of_an_upload_that_was_not_published(self, stores: Stores) -> None:
        record = file_upload(stores)
        with pytest.raises(StorageFull), held(stores, record) as directories:
            directories.announce(record)
            raise StorageFull("publishing failed")
        assert entries(stores) == []
        assert stores.replicas.finish() == 0

    def test_nothing_is_left_to_finish_when_all_was_made(self, stores: Stores) -> None:
        publish(stores, file_upload(stores))
        assert stores.replicas.finish() == 0

    def test_many_threads_number_one_after_another(self, stores: Stores) -> None:
        uploads = [file_upload(stores, number) for number in range(24)]
        threads = [threading.Thread(target=publish_next, args=(stores, one)) for one in uploads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expected = [name_of(number) for number in range(24)]
        assert entries(stores) == sorted([*expected, "results.latest.xml"])
