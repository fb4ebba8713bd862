"""``http-bucket import`` of a store as the original program makes it."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from httpbucket.services.take_over import FROM, TakeOver
from tests.builders import tar, tar_member
from tests.cli.conftest import Store
from tests.examples import identity

TREE = tar(tar_member("sub/m.txt", b"member"), tar_member("n.txt", b"second"))


class Original:
    """Writes what the original program writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blob").mkdir(parents=True)

    def blob(self, content: bytes, *, flat: bool = False) -> Path:
        name = hashlib.md5(content).hexdigest()
        parents = "" if flat else f"{name[:2]}/{name[2:4]}/"
        path = self.root / f"blob/{parents}{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(content)
        return path

    def tree(self, archive: bytes, members: dict[str, bytes]) -> Path:
        name = self.blob(archive).name
        root = self.root / f"explode/{name[:2]}/{name[2:4]}/{name}"
        for path, content in members.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(self.blob(content), root / path)
        return root

    def replica(self, target: Path, name: str, directory: str = "USER/bob") -> Path:
        path = self.root / "replica" / directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            path.symlink_to(os.path.relpath(target, path.parent))
        else:
            os.link(target, path)
        stem, _, rest = name.partition(".2020")
        latest = path.with_name(f"{stem}.latest{Path(rest).suffix if '.' in rest[10:] else ''}")
        latest.unlink(missing_ok=True)
        latest.symlink_to(name)
        return path

    def listing(self) -> list[tuple[str, int]]:
        """Every name with its time, to see that nothing was touched."""
        return sorted((str(path), path.lstat().st_mtime_ns) for path in self.root.rglob("*"))


@pytest.fixture
def original(tmp_path: Path) -> Original:
    original = Original(tmp_path / "old")
    original.replica(original.blob(b"first"), "results.20201121.1432.0.xml")
    original.replica(original.blob(b"again"), "results.20201121.1432.1.xml")
    tree = original.tree(TREE, {"sub/m.txt": b"member", "n.txt": b"second"})
    original.replica(tree, "build.20201122.0001.0")
    original.blob(b"<?xml version='1.0'?><nameless/>", flat=True)
    return original


class TestImport:
    def test_every_name_becomes_an_upload_of_its_time_in_its_directory(
        self, store: Store, original: Original
    ) -> None:
        before = original.listing()
        ended = store.call("import", str(original.root), "--json")
        assert (ended.status, ended.err) == (0, "")
        assert (ended.told["uploads"], ended.told["refused"]) == (4, {})
        assert ended.told["strangers"] == []
        replicas = store.layout.replicas / "user/bob"
        assert sorted(path.name for path in replicas.iterdir()) == [
            "build.20201122.0001.0",
            "build.latest",
            "results.20201121.1432.0.xml",
            "results.20201121.1432.1.xml",
            "results.latest.xml",
        ]
        assert (replicas / "results.20201121.1432.0.xml").read_bytes() == b"first"
        assert (replicas / "results.latest.xml").read_bytes() == b"again"
        assert (replicas / "build.latest/sub/m.txt").read_bytes() == b"member"
        (upload,) = store.layout.archive.glob("2020/11/22/*")
        record = store.stores.records.load(type(store.upload(b"x").id)(upload.name))
        assert (record.name, record.received) == (
            "build.tar",
            datetime(2020, 11, 22, 0, 1, tzinfo=UTC),
        )
        assert record.headers == {
            "username": "bob",
            FROM: "replica/USER/bob/build.20201122.0001.0",
        }
        assert original.listing() == before

    def test_a_blob_without_a_name_is_named_by_its_digest_and_kind(
        self, store: Store, original: Original
    ) -> None:
        store.call("import", str(original.root))
        content = b"<?xml version='1.0'?><nameless/>"
        (upload,) = store.call("why", identity(content).hex, "--json").told["contents"][0][
            "uploads"
        ]
        assert upload["name"] == f"{hashlib.md5(content).hexdigest()}.xml"

    def test_members_of_trees_need_no_upload_of_their_own(
        self, store: Store, original: Original
    ) -> None:
        store.call("import", str(original.root))
        (kept,) = store.call("why", identity(b"member").hex, "--json").told["contents"]
        assert [upload["name"] for upload in kept["uploads"]] == ["build.tar"]

    def test_a_second_run_imports_nothing(self, store: Store, original: Original) -> None:
        first = store.call("import", str(original.root), "--json").told
        second = store.call("import", str(original.root), "--json").told
        assert (second["uploads"], second["known"]) == (0, first["uploads"] + first["known"])
        assert store.call("stats", "--json").told["uploads"] == 4

    def test_a_dry_run_says_what_would_come_and_does_nothing(
        self, store: Store, original: Original
    ) -> None:
        planned = store.call("import", "--dry-run", str(original.root), "--json").told
        assert store.call("stats", "--json").told["uploads"] == 0
        done = store.call("import", str(original.root), "--json").told
        assert planned == done | {"dry_run": True}

    def test_what_does_not_fit_its_name_is_refused_and_the_rest_goes_on(
        self, store: Store, original: Original
    ) -> None:
        rotten = original.blob(b"rotten")
        original.replica(rotten, "bad.20201121.1432.0.txt")
        rotten.write_bytes(b"ROTTEN")
        gone = original.root / "replica/USER/bob/gone.20201121.1432.0"
        gone.symlink_to("../../../explode/aa/bb/nothing")
        outside = original.root / "replica/USER/bob/out.20201121.1432.0.txt"
        outside.symlink_to("/etc/hostname")
        (original.root / "replica/USER/notes.txt").write_text("x")
        ended = store.call("import", str(original.root), "--json")
        assert ended.status == 1
        assert set(ended.told["refused"]) == {
            "replica/USER/bob/bad.20201121.1432.0.txt",
            "replica/USER/bob/gone.20201121.1432.0",
            "replica/USER/bob/out.20201121.1432.0.txt",
            str(rotten.relative_to(original.root)),
        }
        assert ended.told["strangers"] == ["replica/USER/notes.txt"]
        assert ended.told["uploads"] == 4
        shown = store.call("import", str(original.root))
        assert (shown.status, shown.out.count("refused: ")) == (1, 4)

    def test_without_a_template_that_fits_it_is_kept_in_the_archive_alone(
        self, store: Store, original: Original
    ) -> None:
        ended = store.call("import", str(original.root), REPLICATE_0="team/${TEAM}")
        assert ended.status == 0
        assert list(store.layout.replicas.iterdir()) == []
        assert len(list(store.layout.archive.glob("2020/11/21/*"))) == 2

    def test_files_larger_than_clients_may_send_come_as_well(
        self, store: Store, original: Original
    ) -> None:
        assert store.call("import", str(original.root), MAX_CONTENT_LENGTH="2").status == 0

    def test_trees_whose_archive_file_is_gone_come_as_trees_of_files(
        self, store: Store, original: Original
    ) -> None:
        lost = tar(tar_member("lone/a.txt", b"lost archive"))
        tree = original.tree(lost, {"lone/a.txt": b"a", "lone/b/\udcfc.txt": b"b"})
        original.replica(tree, "lone.20201123.0002.0")
        nameless = original.tree(lost + b"nameless", {"c.txt": b"c"})
        (nameless / "link").symlink_to("c.txt")
        for archive in (lost, lost + b"nameless"):
            original.blob(archive).unlink()
        planned = store.call("import", "--dry-run", str(original.root), "--json").told
        ended = store.call("import", str(original.root), "--json")
        assert (ended.status, ended.told) == (0, planned | {"dry_run": False})
        assert ended.told["uploads"] == 6
        assert ended.told["strangers"] == [f"{nameless.relative_to(original.root)}/link"]
        shown = store.layout.replicas / "user/bob/lone.20201123.0002.0/lone"
        assert (shown / "a.txt").read_bytes() == b"a"
        assert (shown / "b/%FC.txt").read_bytes() == b"b"
        (upload,) = store.layout.archive.glob("2020/11/23/*")
        assert (upload / "lone/lone/a.txt").read_bytes() == b"a"
        (kept,) = store.call("why", identity(b"c").hex, "--json").told["contents"]
        assert [one["name"] for one in kept["uploads"]] == [nameless.name]
        assert store.call("import", str(original.root), "--json").told["uploads"] == 0

    def test_a_tree_that_holds_nothing_is_refused(self, store: Store, original: Original) -> None:
        empty = original.root / f"explode/aa/aa/{'a' * 32}"
        empty.mkdir(parents=True)
        ended = store.call("import", str(original.root), "--json")
        assert ended.told["refused"] == {
            str(empty.relative_to(original.root)): "It is a tree without a file."
        }

    def test_how_long_they_are_kept_counts_from_the_import(
        self, store: Store, original: Original
    ) -> None:
        store.call("import", str(original.root), RETENTION_DAYS="30")
        assert store.call("expire", "--json").told["uploads"] == 0

    def test_an_import_that_was_killed_is_gone_on_with(
        self, store: Store, original: Original, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Killed(BaseException):
            pass

        keep, kept = TakeOver._keep, []

        def killed(self: TakeOver, *args: object) -> None:
            keep(self, *args)  # type: ignore[arg-type]
            kept.append(args)
            if len(kept) == 2:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(TakeOver, "_keep", killed)
            with pytest.raises(Killed):
                store.call("import", str(original.root))
        ended = store.call("import", str(original.root), "--json")
        assert (ended.status, ended.told["uploads"]) == (0, 2)
        assert store.call("stats", "--json").told["uploads"] == 4

    def test_a_record_that_a_kill_kept_from_the_index_is_found_again(
        self, store: Store, original: Original
    ) -> None:
        store.call("import", str(original.root))
        (upload,) = store.layout.archive.glob("2020/11/22/*")
        record = store.stores.records.load(type(store.upload(b"x").id)(upload.name))
        with store.stores.trees.load(record.manifest or identity(b"")) as manifest:
            store.stores.index.remove(record, manifest)
        assert store.call("import", str(original.root), "--json").told["uploads"] == 0

    def test_a_directory_that_is_no_store_of_the_original_is_refused(
        self, store: Store, tmp_path: Path
    ) -> None:
        ended = store.call("import", str(tmp_path))
        assert (ended.status, ended.err.count("\n")) == (1, 1)

    def test_the_new_store_is_made_where_there_is_none(
        self, store: Store, original: Original, tmp_path: Path
    ) -> None:
        root = tmp_path / "new"
        assert store.call("import", str(original.root), ARCHIVE_DIR=str(root)).status == 0
        assert store.call("stats", "--json", ARCHIVE_DIR=str(root)).told["uploads"] == 4
