"""The image: what the Dockerfile says agrees with what the program and its entry say."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatchcase

import pytest

from httpbucket.config import Settings
from httpbucket.storage.local.layout import Layout
from tests.deployment.dockerfile import BUILD, CONTAINER_FILES, IMAGE, ROOT
from tests.deployment.loading import load

ENTRY = load("entry")


def test_both_stages_stand_on_the_same_slim_python() -> None:
    (base,) = {BUILD.base, IMAGE.base}
    default = re.search(r"^ARG PYTHON=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base == "python:${PYTHON}"
    assert default is not None and default[1].endswith("-slim")


def test_the_images_python_is_one_that_the_package_allows() -> None:
    default = re.search(r"^ARG PYTHON=3\.(\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = int(project["requires-python"].removeprefix(">=3."))
    assert default is not None and int(default[1]) >= oldest


def test_what_is_installed_is_pinned_to_exact_versions_by_hash() -> None:
    (install,) = [line for line in BUILD.all("RUN") if " install " in line]
    requirements = (ROOT / "assets" / "requirements.txt").read_text().replace("\\\n", " ")
    lines = [line for line in requirements.splitlines() if re.match(r"[a-z]", line)]
    assert "--require-hashes" in install
    assert lines and all(re.match(r"\S+==\S+ .*--hash=sha256:", line) for line in lines)


def test_the_source_lies_in_app_and_is_found_there() -> None:
    assert "assets/src/ /app/" in BUILD.all("COPY")
    assert "--from=build /app /app" in IMAGE.all("COPY")
    assert (IMAGE.environ["PYTHONPATH"], IMAGE.only("WORKDIR")) == ("/app", "/app")


@pytest.mark.parametrize("name", ["api.py", "bucket.py", "httpbucket/__main__.py"])
def test_a_source_mounted_over_app_brings_what_app_has(name: str) -> None:
    assert (ROOT / "assets" / "src" / name).is_file()


def test_the_entry_knows_the_images_defaults() -> None:
    """``docker run -e NAME`` removes NAME where the host has not set it."""
    assert {name: IMAGE.environ[name] for name in ENTRY.DEFAULTS} == ENTRY.DEFAULTS


def test_the_server_listens_on_every_port_that_the_image_exposes() -> None:
    settings = Settings.from_environ(IMAGE.environ)
    assert [str(port) for port in settings.ports] == IMAGE.only("EXPOSE").split()
    assert settings.ports == (80, 5000)


def test_the_store_is_a_volume() -> None:
    assert IMAGE.only("VOLUME") == IMAGE.environ["ARCHIVE_DIR"] == "/data"


def test_the_service_user_is_the_one_that_the_entry_becomes() -> None:
    (users,) = [line for line in IMAGE.all("RUN") if "useradd" in line]
    numbers = re.findall(r"--[ug]id (\d+)", users)
    assert numbers == [str(ENTRY.SERVICE)] * 2


def test_the_entry_gives_away_what_belongs_to_a_store_and_no_more() -> None:
    layout = Layout(ROOT)
    ours = {layout.marker, layout.private, *layout.public_directories}
    assert set(ENTRY.PARTS) == {path.name for path in ours}
    assert layout.marker.name == ENTRY.MARKER


@pytest.mark.parametrize("instruction", ["ENTRYPOINT", "HEALTHCHECK"])
def test_programs_that_run_as_root_import_nothing_from_app(instruction: str) -> None:
    python, isolated, program = IMAGE.command(instruction)
    directory, _, name = program.rpartition("/")
    assert (python, isolated, directory) == ("python", "-I", "/opt/http-bucket/container")
    assert (CONTAINER_FILES / name).is_file()
    assert "httpbucket" not in re.findall(r"^(?:import|from) (\w+)", _read(name), re.MULTILINE)


def test_the_container_serves_unless_told_otherwise() -> None:
    assert IMAGE.command("CMD") == ["serve"]


def test_the_build_is_sent_what_it_copies_and_little_else() -> None:
    copied = [line.split()[0].rstrip("/") for line in BUILD.all("COPY")]
    assert all((ROOT / source).exists() and _is_sent(source) for source in copied)
    unwanted = [".git", ".venv", "tests", "assets/nginx", "assets/src/httpbucket/__pycache__"]
    assert [path for path in unwanted if _is_sent(path)] == []


def _read(name: str) -> str:
    return (CONTAINER_FILES / name).read_text()


def _is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path through: the last line that fits it or a parent counts."""
    parts = path.split("/")
    parents = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and any(_fits(parent, pattern) for parent in parents):
            sent = line.startswith("!")
    return sent


def _fits(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatchcase(path.rpartition("/")[2], pattern.removeprefix("**/"))
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)
