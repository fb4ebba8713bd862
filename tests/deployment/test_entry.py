"""The container's entry: whose the store becomes, and that nothing goes on as root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.deployment.container import SERVICE, Container
from tests.tools import require_tool

OTHER = 1234

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def container(open_directory: Path) -> Container:
    return Container(open_directory)


@needs_root
def test_http_bucket_runs_as_the_service_user_with_no_way_back(container: Container) -> None:
    told = container.run()
    assert told.user == SERVICE
    assert set(told.given["groups"]) == {SERVICE}
    assert told.given["is_root_for_good"] is False


@needs_root
def test_a_missing_store_is_made_for_the_service_user(container: Container) -> None:
    container.store /= "a/b"
    container.run()
    owners = [path.stat().st_uid for path in (container.store, container.store.parent)]
    assert owners == [SERVICE, 0]
    assert container.store.stat().st_mode & 0o777 == 0o755


@needs_root
@pytest.mark.parametrize("owner", [0, OTHER])
@pytest.mark.parametrize("names", [[], ["lost+found"]])
def test_an_empty_store_is_given_to_the_service_user(
    container: Container, owner: int, names: list[str]
) -> None:
    make(container.store, names, owner)
    container.run()
    assert owner_of(container.store) == (SERVICE, SERVICE)


@needs_root
def test_a_store_of_root_is_given_whole(container: Container) -> None:
    make_store(container.store)
    told = container.run()
    assert {owner_of(path) for path in everything(container.store)} == {(SERVICE, SERVICE)}
    assert "Giving the store" in told.said


@needs_root
def test_a_hand_over_that_was_interrupted_is_made_good(container: Container) -> None:
    make_store(container.store)
    for path in (container.store / "blob", container.store / "archive/2026"):
        os.chown(path, SERVICE, SERVICE)
    container.run()
    assert {owner_of(path) for path in everything(container.store)} == {(SERVICE, SERVICE)}


@needs_root
def test_what_a_link_in_a_store_leads_to_stays_as_it_is(container: Container) -> None:
    make_store(container.store)
    outside = container.store.parent / "outside"
    make(outside, ["file"], 0)
    (container.store / "replica/elsewhere").symlink_to(outside)
    (container.store / "replica/file").symlink_to(outside / "file")
    container.run()
    assert {owner_of(path) for path in (outside, outside / "file")} == {(0, 0)}


@needs_root
def test_in_a_store_of_root_what_others_own_and_what_is_no_part_of_it_stay(
    container: Container,
) -> None:
    make_store(container.store)
    foreign, stranger = container.store / "archive/foreign", container.store / "notes.txt"
    for path, owner in ((foreign, OTHER), (stranger, 0)):
        path.touch()
        os.chown(path, owner, owner)
    container.run()
    assert (owner_of(foreign), owner_of(stranger)) == ((OTHER, OTHER), (0, 0))


@needs_root
def test_a_store_of_somebody_else_stays_theirs(container: Container) -> None:
    make_store(container.store, OTHER)
    told = container.run()
    assert {owner_of(path) for path in everything(container.store)} == {(OTHER, OTHER)}
    assert f"start the container with --user {OTHER}" in told.said


@needs_root
def test_a_store_of_the_service_user_is_not_walked(container: Container) -> None:
    make_store(container.store)
    os.chown(container.store, SERVICE, SERVICE)
    container.run()
    assert owner_of(container.store / "blob") == (0, 0)


@needs_root
def test_a_directory_of_root_that_is_no_store_stays(container: Container) -> None:
    make(container.store, ["passwd", "blob"], 0)
    container.run()
    assert {owner_of(path) for path in everything(container.store)} == {(0, 0)}


@needs_root
def test_a_marker_that_anybody_could_have_put_there_makes_no_store(container: Container) -> None:
    make_store(container.store)
    container.store.chmod(0o1777)
    container.run()
    assert {owner_of(path) for path in everything(container.store)} == {(0, 0)}


@needs_root
def test_a_link_in_the_place_of_the_store_is_not_followed(container: Container) -> None:
    target = container.store.parent / "target"
    target.mkdir()
    container.store.symlink_to(target)
    container.run()
    assert owner_of(target) == (0, 0)


@needs_root
@pytest.mark.parametrize("path", ["store", "{}/app/../store"])
def test_a_path_that_the_server_refuses_is_not_made(container: Container, path: str) -> None:
    told = container.run(ARCHIVE_DIR=path.format(container.store.parent))
    assert told.user == SERVICE
    assert not container.store.exists()


@needs_root
def test_a_file_in_the_place_of_the_store_is_left_to_the_server(container: Container) -> None:
    container.store.touch()
    assert container.run().user == SERVICE
    assert owner_of(container.store) == (0, 0)


@needs_root
def test_a_read_only_store_is_left_to_the_server(container: Container) -> None:
    require_private_mounts()
    container.store.mkdir()
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    wrap = ["unshare", "-m", "sh", "-c", mount, str(container.store)]
    told = container.run(wrap=wrap)
    assert told.user == SERVICE
    assert f"cannot be given to user {SERVICE}: Read-only file system." in told.said


@needs_root
def test_without_the_right_to_change_users_it_ends_with_a_sentence(container: Container) -> None:
    finished = container.start(wrap=capable_of("chown"))
    assert (finished.returncode, finished.stdout) == (1, "")
    assert f"start it with --user {SERVICE}:{SERVICE}." in finished.stderr


@needs_root
def test_a_store_is_given_with_no_more_capabilities_than_it_takes(container: Container) -> None:
    make_store(container.store)
    (container.store / "private").chmod(0o700)
    container.run(wrap=capable_of("chown", "setuid", "setgid"))
    assert {owner_of(path) for path in everything(container.store)} == {(SERVICE, SERVICE)}


@needs_root
def test_a_store_that_cannot_be_given_whole_stays_roots_to_be_given_later(
    container: Container,
) -> None:
    make_store(container.store)
    closed = container.store / "private" / "staging"
    closed.chmod(0o700)
    os.chown(closed, SERVICE, SERVICE)
    told = container.run(wrap=capable_of("chown", "setuid", "setgid"))
    assert f"cannot be given to user {SERVICE}: Permission denied." in told.said
    assert owner_of(container.store) == (0, 0)
    container.run()
    assert owner_of(container.store) == (SERVICE, SERVICE)


@needs_root
def test_started_as_another_user_it_changes_nothing(container: Container) -> None:
    make_store(container.store)
    told = container.run(user=OTHER)
    assert (told.user, set(told.given["groups"]), told.said) == (OTHER, {OTHER}, "")
    assert owner_of(container.store) == (0, 0)


def test_variables_and_arguments_reach_http_bucket(container: Container) -> None:
    told = container.run(user=unprivileged(), FLASK_ENV="development", CHECKSUM_TYPE="sha1")
    environ = told.given["environ"]
    assert told.given["arguments"] == ["serve"]
    assert (environ["FLASK_ENV"], environ["CHECKSUM_TYPE"]) == ("development", "sha1")
    assert environ["ARCHIVE_DIR"] == str(container.store)


def test_a_variable_that_the_host_has_not_set_gets_the_images_default(container: Container) -> None:
    environ = container.run(user=unprivileged(), ARCHIVE_DIR="", PORT=" ").given["environ"]
    assert (environ["ARCHIVE_DIR"], environ["PORT"]) == ("/data", "80,5000")


def capable_of(*names: str) -> list[str]:
    """A command that runs another one with these capabilities, as ``docker run --cap-add``."""
    setpriv = require_tool("setpriv", package="util-linux")
    only = ",".join(["-all", *(f"+{name}" for name in names)])
    return [setpriv, "--inh-caps", only, "--bounding-set", only]


def unprivileged() -> int | None:
    """A user to start as; None is whoever runs the tests, if that is not root."""
    return OTHER if os.geteuid() == 0 else None


def make(directory: Path, names: list[str], owner: int) -> None:
    directory.mkdir()
    for name in names:
        (directory / name).touch()
    for path in everything(directory):
        os.chown(path, owner, owner)


def make_store(root: Path, owner: int = 0) -> None:
    """A store with a blob, an upload and a link of each kind."""
    blob, upload, replicas = (
        root / "blob/ab/cd/abcd",
        root / "archive/2026/x/a.txt",
        root / "replica",
    )
    for directory in (blob.parent, upload.parent, replicas, root / "private/staging"):
        directory.mkdir(parents=True)
    blob.write_text("content")
    upload.hardlink_to(blob)
    (replicas / "a.latest.txt").symlink_to("a.txt")
    (root / "bucket-layout").write_text("1\n")
    for path in everything(root):
        os.chown(path, owner, owner, follow_symlinks=False)


def everything(root: Path) -> list[Path]:
    return [root, *root.rglob("*")]


def owner_of(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid


def require_private_mounts() -> None:
    """Skips where the kernel does not let this process mount."""
    bind = ["unshare", "-m", "mount", "--bind", "/tmp", "/tmp"]
    if subprocess.run(bind, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount, so no read-only file system")
