"""Replicate fills templates, and gives each upload its number and its names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from httpbucket.domain.errors import StorageFull
from httpbucket.domain.template import ReplicaTemplate
from httpbucket.domain.upload import NamedBlob, Record, Tree
from httpbucket.services.replicate import ReplicaPlan, Replicate
from httpbucket.storage.memory import MemoryRecords, MemoryReplicas
from tests.examples import NOW, descriptor, record_of

BLOB = descriptor(b"content")
BOB = {"username": "bob", "topic": "demo"}
DEMO = "replica/user/bob/demo"


class Bench:
    """Replicate on memory."""

    def __init__(self, *templates: str) -> None:
        self.replicas = MemoryReplicas()
        self.records = MemoryRecords()
        self.replicate = Replicate([*map(ReplicaTemplate.parse, templates)], self.replicas)

    def plan(self, **values: str) -> ReplicaPlan:
        return self.replicate.plan({name.replace("_", "-"): text for name, text in values.items()})

    def upload(self, values: Mapping[str, str], record: Record) -> Record:
        plan = self.replicate.plan(values)
        return self.replicate.publish(plan, record, self.records.publish)

    def names(self, directory: str = DEMO) -> dict[str, str]:
        """What lies in a directory, and what each name shows."""
        shown = self.replicas.directories[directory]
        return {
            name: one if isinstance(one, str) else f"({one.part})" for name, one in shown.items()
        }


@pytest.fixture
def bench() -> Bench:
    return Bench("user/${USERNAME}/${TOPIC}")


def an_upload(name: str = "results.xml", *, number: int = 0, minutes: int = 0) -> Record:
    record = record_of(BLOB, number=number, name=name)
    return replace(record, received=NOW + timedelta(minutes=minutes))


class TestPlanning:
    def test_a_request_with_every_header_gets_the_directory(self, bench: Bench) -> None:
        assert bench.plan(username="bob", topic="demo") == ReplicaPlan((DEMO,))

    def test_a_request_without_the_headers_gets_none_and_is_told_nothing(
        self, bench: Bench
    ) -> None:
        assert bench.plan() == ReplicaPlan()
        assert bench.plan(elsewhere="bob") == ReplicaPlan()

    def test_some_of_the_headers_are_told(self, bench: Bench) -> None:
        assert bench.plan(username="bob") == ReplicaPlan(
            log=[
                "No replica under user/${USERNAME}/${TOPIC}: "
                "the request has username but not topic."
            ]
        )

    def test_a_changed_value_is_told(self, bench: Bench) -> None:
        plan = bench.plan(username="bob", topic="../x")
        assert plan.directories == ("replica/user/bob/_.._x~d6b96a97d147daaa",)
        assert plan.log == ["The value '../x' of the header topic became '_.._x~d6b96a97d147daaa'."]

    def test_templates_that_come_to_one_directory_give_it_once(self) -> None:
        bench = Bench("user/${USERNAME}", "user/${NAME}", "${KIND}/bob")
        plan = bench.plan(username="bob", name="bob", kind="user")
        assert plan.directories == ("replica/user/bob",)

    def test_every_template_that_is_filled_gives_a_directory(self) -> None:
        bench = Bench("user/${USERNAME}", "topic/${TOPIC}", "build-${BUILD}", "x/${A}/${B}")
        plan = bench.plan(username="bob", topic="demo", a="1")
        assert plan.directories == ("replica/user/bob", "replica/topic/demo")
        assert plan.log == ["No replica under x/${A}/${B}: the request has a but not b."]

    @pytest.mark.parametrize(
        ("said", "outcome"),
        [
            *[(word, "pass") for word in ("pass", "passed", "success", "ok", "OK", " Passed ")],
            *[(word, "fail") for word in ("fail", "failed", "failure", "error", "ERROR")],
        ],
    )
    def test_a_result_is_understood_in_several_words(
        self, bench: Bench, said: str, outcome: str
    ) -> None:
        assert bench.plan(**BOB, result=said) == ReplicaPlan((DEMO,), outcome)  # type: ignore[arg-type]

    @pytest.mark.parametrize("said", ["skipped", "passe", "0", "pass fail", "x" * 4000])
    def test_another_result_is_told(self, bench: Bench, said: str) -> None:
        plan = bench.plan(**BOB, result=said)
        assert plan.directories == (DEMO,)
        assert plan.outcome is None
        assert plan.log == [f"Result: {said[:40]!r} is neither a pass nor a failure."]

    def test_it_names_the_headers_that_it_wants_to_know(self) -> None:
        bench = Bench("user/${USERNAME}/${Topic}", "topic/${TOPIC}")
        assert bench.replicate.headers == ("username", "topic", "result")


class TestPublishing:
    def test_a_file_gets_a_number_and_is_the_latest(self, bench: Bench) -> None:
        record = bench.upload(BOB, an_upload())
        assert [one.path for one in record.replicas] == [f"{DEMO}/results.20261121.1432.0.xml"]
        assert bench.names() == {
            "results.20261121.1432.0.xml": "(uploaded)",
            "results.latest.xml": "results.20261121.1432.0.xml",
        }

    def test_the_record_that_is_published_names_its_replicas(self, bench: Bench) -> None:
        record = bench.upload(BOB, an_upload())
        assert record.replicas
        assert bench.records.load(record.id) == record

    def test_without_a_directory_the_record_is_published_as_it_is(self, bench: Bench) -> None:
        record = an_upload()
        assert bench.upload({}, record) is record
        assert bench.records.load(record.id) == record
        assert bench.replicas.directories == {}

    def test_numbers_go_on_within_a_minute_and_begin_again_in_the_next(self, bench: Bench) -> None:
        for number, minutes in enumerate((0, 0, 1, 0)):
            bench.upload(BOB, an_upload(number=number, minutes=minutes))
        assert [*bench.names()] == [
            "results.20261121.1432.0.xml",
            "results.latest.xml",
            "results.20261121.1432.1.xml",
            "results.20261121.1433.0.xml",
            "results.20261121.1432.2.xml",
        ]

    def test_latest_is_the_one_published_last_whatever_the_clock_says(self, bench: Bench) -> None:
        bench.upload(BOB, an_upload(number=0, minutes=5))
        bench.upload(BOB, an_upload(number=1, minutes=0))
        assert bench.names()["results.latest.xml"] == "results.20261121.1432.0.xml"

    def test_a_minute_is_told_in_utc_whatever_the_zone(self, bench: Bench) -> None:
        received = NOW.astimezone(timezone(timedelta(hours=12)))
        record = bench.upload(BOB, replace(an_upload(), received=received))
        assert record.replicas[0].path == f"{DEMO}/results.20261121.1432.0.xml"

    def test_names_are_numbered_apart(self, bench: Bench) -> None:
        for number, name in enumerate(("results.xml", "results.txt", "other.xml")):
            bench.upload(BOB, an_upload(name, number=number))
        assert {name for name in bench.names() if ".latest" not in name} == {
            "results.20261121.1432.0.xml",
            "results.20261121.1432.0.txt",
            "other.20261121.1432.0.xml",
        }

    def test_a_compressed_file_gets_two_names_with_one_number(self, bench: Bench) -> None:
        for number in range(2):
            bench.upload(BOB, a_compressed_file(number))
        assert bench.names() == {
            "log.20261121.1432.0.gz": "(uploaded)",
            "log.20261121.1432.0": "(decompressed)",
            "log.20261121.1432.1.gz": "(uploaded)",
            "log.20261121.1432.1": "(decompressed)",
            "log.latest.gz": "log.20261121.1432.1.gz",
            "log.latest": "log.20261121.1432.1",
        }

    def test_a_compressed_file_passes_over_numbers_that_either_name_has(self, bench: Bench) -> None:
        bench.upload(BOB, an_upload("log", number=0))
        bench.upload(BOB, an_upload("log", number=1))
        record = bench.upload(BOB, a_compressed_file(2))
        assert [one.name for one in record.replicas] == [
            "log.20261121.1432.2.gz",
            "log.20261121.1432.2",
        ]

    @pytest.mark.parametrize("name", ["results.tgz", "results.tar.gz", "results.zip", "results"])
    def test_an_archive_file_gets_its_tree_alone(self, bench: Bench, name: str) -> None:
        tree = Tree("results", descriptor(b"a manifest"), 3, 100)
        record = replace(an_upload(name), tree=tree, decompressed=NamedBlob("results.tar", BLOB))
        bench.upload(BOB, record)
        assert bench.names() == {
            "results.20261121.1432.0": "(tree)",
            "results.latest": "results.20261121.1432.0",
        }

    def test_a_zip_a_tarball_and_a_file_of_one_stem_share_a_series(self, bench: Bench) -> None:
        tree = Tree("x", descriptor(b"a manifest"), 3, 100)
        bench.upload(BOB, replace(an_upload("x.zip", number=0), tree=tree))
        bench.upload(BOB, replace(an_upload("x.tgz", number=1), tree=tree))
        bench.upload(BOB, an_upload("x", number=2))
        assert bench.names() == {
            "x.20261121.1432.0": "(tree)",
            "x.20261121.1432.1": "(tree)",
            "x.20261121.1432.2": "(uploaded)",
            "x.latest": "x.20261121.1432.2",
        }

    def test_an_upload_is_numbered_in_each_directory_on_its_own(self) -> None:
        bench = Bench("user/${USERNAME}", "topic/${TOPIC}")
        bench.upload({"username": "bob"}, an_upload(number=0))
        record = bench.upload(BOB, an_upload(number=1))
        assert [one.path for one in record.replicas] == [
            "replica/user/bob/results.20261121.1432.1.xml",
            "replica/topic/demo/results.20261121.1432.0.xml",
        ]

    def test_two_templates_that_come_to_one_directory_make_one_replica(self) -> None:
        bench = Bench("user/${USERNAME}", "user/${NAME}")
        record = bench.upload({"username": "bob", "name": "bob"}, an_upload())
        assert len(record.replicas) == 1
        assert [*bench.names("replica/user/bob")] == [
            "results.20261121.1432.0.xml",
            "results.latest.xml",
        ]

    def test_results_have_a_latest_each(self, bench: Bench) -> None:
        for number, word in enumerate(("passed", "failed", "skipped")):
            bench.upload(BOB | {"result": word}, an_upload(number=number))
        names = bench.names()
        assert names["results.latest-pass.xml"] == "results.20261121.1432.0.xml"
        assert names["results.latest-fail.xml"] == "results.20261121.1432.1.xml"
        assert names["results.latest.xml"] == "results.20261121.1432.2.xml"

    def test_the_result_of_a_tree_is_a_link_without_a_suffix(self, bench: Bench) -> None:
        tree = Tree("results", descriptor(b"a manifest"), 3, 100)
        record = bench.upload(BOB | {"result": "ok"}, replace(an_upload("r.tgz"), tree=tree))
        assert record.replicas[0].latest == ("r.latest", "r.latest-pass")

    def test_nothing_appears_when_publishing_is_refused(self, bench: Bench) -> None:
        def refuse(record: Record) -> None:
            raise StorageFull("no room")

        with pytest.raises(StorageFull):
            bench.replicate.publish(bench.replicate.plan(BOB), an_upload(), refuse)
        assert bench.names() == {}


def a_compressed_file(number: int = 0) -> Record:
    inside = NamedBlob("log", descriptor(b"decompressed"))
    return replace(an_upload("log.gz", number=number), decompressed=inside)
