"""docker-compose.yml agrees with the image, with nginx's configuration and with gunicorn's."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from httpbucket.config import Settings
from tests.deployment.dockerfile import IMAGE, ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVER: dict[str, Any] = COMPOSE["services"]["server"]
READERS: dict[str, Any] = COMPOSE["services"]["readers"]
NGINX = (ROOT / "assets" / "nginx" / "http-bucket.conf").read_text()


class Asked(Mapping[str, str]):
    """An empty environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default

    def __getitem__(self, name: str) -> str:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_uploads_in_flight_may_finish_before_the_container_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PORT", raising=False)
    gunicorn = runpy.run_path(str(ROOT / "assets/src/httpbucket/server/gunicorn_conf.py"))
    grace = re.fullmatch(r"(\d+)s", SERVER["stop_grace_period"])
    assert grace is not None
    assert int(grace[1]) > gunicorn["graceful_timeout"]


def test_the_server_keeps_its_store_on_the_one_volume() -> None:
    (volume,) = COMPOSE["volumes"]
    assert SERVER["volumes"] == [f"{volume}:{IMAGE.only('VOLUME')}"]
    assert SERVER["environment"]["ARCHIVE_DIR"] == IMAGE.only("VOLUME")


def test_readers_get_the_store_read_only_where_nginx_looks_for_it() -> None:
    (volume,) = COMPOSE["volumes"]
    root = re.search(r"^ +root (\S+);", NGINX, re.MULTILINE)
    assert root is not None
    assert f"{volume}:{root[1]}:ro" in READERS["volumes"]


def test_readers_get_the_shipped_configuration() -> None:
    (mount,) = [volume for volume in READERS["volumes"] if volume.startswith("./")]
    source, target, mode = mount.split(":")
    assert (ROOT / source).read_text() == NGINX
    assert (target, mode) == ("/etc/nginx/conf.d/default.conf", "ro")


def test_receipts_lead_to_where_readers_look() -> None:
    (ports,) = READERS["ports"]
    published, listened = ports.split(":")
    assert f"listen {listened};" in NGINX
    uri = f"${{ARCHIVE_URI:-http://localhost:{published}}}"
    assert SERVER["environment"]["ARCHIVE_URI"] == uri


def test_the_published_port_is_one_that_the_image_exposes() -> None:
    (ports,) = SERVER["ports"]
    assert ports.split(":")[1] in IMAGE.only("EXPOSE").split()


def test_every_variable_that_is_passed_on_is_a_setting() -> None:
    asked = Asked()
    Settings.from_environ(asked)
    assert set(SERVER["environment"]) <= asked.names


def test_readers_wait_for_a_server_whose_image_says_that_it_is_healthy() -> None:
    assert READERS["depends_on"] == {"server": {"condition": "service_healthy"}}
    assert IMAGE.command("HEALTHCHECK")


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_service_comes_back_after_a_restart_of_the_machine(service: str) -> None:
    assert COMPOSE["services"][service]["restart"] == "unless-stopped"
