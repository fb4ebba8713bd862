"""Settings are read once, defaults are the documented ones, and all mistakes come together."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from httpbucket.config import Settings
from httpbucket.domain.errors import InvalidSettings
from httpbucket.domain.origin import WebAddress

MIB = 1024**2
FILES = "https://files.example"

GOOD = [
    ("ARCHIVE_DIR", "/srv/bucket", "archive_dir", Path("/srv/bucket")),
    ("ARCHIVE_DIR", " /srv/my bucket ", "archive_dir", Path("/srv/my bucket")),
    ("ARCHIVE_URI", "https://files.example/bucket/", "archive_uri", "https://files.example/bucket"),
    ("ARCHIVE_URI", "file:///mnt/bucket", "archive_uri", "file:///mnt/bucket"),
    ("ARCHIVE_URI", "/mnt/bucket", "archive_uri", "/mnt/bucket"),
    ("CHECKSUM_TYPE", "sha512", "checksum_type", "sha512"),
    ("CHECKSUM_TYPE", "SHA-256", "checksum_type", "sha256"),
    ("CHECKSUM_TYPE", "blake2b", "checksum_type", "blake2b"),
    ("CHECKSUM_TYPE", "sha3_256", "checksum_type", "sha3_256"),
    ("DIGESTS", "sha1", "digests", ("sha1", "sha256", "md5")),
    ("DIGESTS", "SHA512, md5 md5", "digests", ("sha512", "md5", "sha256")),
    ("MAX_CONTENT_LENGTH", "10mb", "max_content_length", 10 * MIB),
    ("MAX_CONTENT_LENGTH", "10MB", "max_content_length", 10 * MIB),
    ("MAX_CONTENT_LENGTH", "1", "max_content_length", 1),
    ("MAX_CONTENT_LENGTH", "5 tb", "max_content_length", 5 * 1024**4),
    ("MIN_FREE_BYTES", "1gb", "min_free_bytes", 1024**3),
    ("MIN_FREE_BYTES", "0", "min_free_bytes", 0),
    ("MIN_FREE_INODES", "0", "min_free_inodes", 0),
    ("MAX_STORE_BYTES", "2tb", "max_store_bytes", 2 * 1024**4),
    ("INDEX_PATH", "/var/lib/bucket/index", "index_path", Path("/var/lib/bucket/index")),
    ("HOST", "127.0.0.1", "host", "127.0.0.1"),
    ("HOST", "[::1]", "host", "::1"),
    ("HOST", "::", "host", "::"),
    ("HOST", "files.example", "host", "files.example"),
    ("PORT", "80", "ports", (80,)),
    ("PORT", "80, 5000", "ports", (80, 5000)),
    ("PORT", "65535", "ports", (65535,)),
    ("WEB_CONCURRENCY", "4", "workers", 4),
    ("THREADS", "32", "threads", 32),
    ("FSYNC", "off", "fsync", False),
    ("FSYNC", "Yes", "fsync", True),
    ("FSYNC", "0", "fsync", False),
    ("BODY_MIN_RATE", "2kb", "body_min_rate", 2048),
    ("FAST_BODIES", "off", "fast_bodies", False),
    ("FAST_WRITES", "off", "fast_writes", False),
    ("FAST_UNPACK", "off", "fast_unpack", False),
    ("FAST_HEAD", "off", "fast_head", False),
    ("FAST_GET", "off", "fast_get", False),
    ("FAST_UPLOAD", "off", "fast_upload", False),
    ("BODY_IDLE_SECONDS", "5", "body_idle_seconds", 5),
    ("UNPACK_MAX_BYTES", "1gb", "unpack_max_bytes", 1024**3),
    ("UNPACK_MAX_MEMBERS", "7", "unpack_max_members", 7),
    ("UNPACK_MAX_RATIO", "7", "unpack_max_ratio", 7),
    ("UNPACK_MAX_DEPTH", "7", "unpack_max_depth", 7),
    ("UNPACK_MAX_PATH", "7", "unpack_max_path", 7),
    ("UNPACK_MAX_SECONDS", "7", "unpack_max_seconds", 7),
    ("UNPACK_NOT", ".JAR,.tar.gz .a", "unpack_not", (".jar", ".tar.gz", ".a")),
    ("CONTENT_CORS", "off", "content_cors", False),
    ("CONTENT_ORIGIN", FILES, "content_origin", WebAddress.parse(FILES)),
    ("CONTENT_ORIGIN", f"{FILES.upper()}:443/", "content_origin", WebAddress.parse(FILES)),
    ("PUBLIC_URL", "http://ci:81/a/", "public_url", WebAddress.parse("http://ci:81/a")),
    ("TRUSTED_PROXIES", "127.0.0.1", "trusted_proxies", (ip_network("127.0.0.1/32"),)),
    (
        *("TRUSTED_PROXIES", "10.0.0.0/8, ::1 fd00::/8", "trusted_proxies"),
        tuple(map(ip_network, ("10.0.0.0/8", "::1/128", "fd00::/8"))),
    ),
    ("FLASK_ENV", "development", "development", True),
    ("FLASK_ENV", "Production", "development", False),
]

BAD = [
    ("ARCHIVE_DIR", "relative/path"),
    ("ARCHIVE_DIR", "/srv/../etc"),
    ("ARCHIVE_URI", "files.example/bucket"),
    ("ARCHIVE_URI", "ftp://files.example"),
    ("ARCHIVE_URI", "http:///nowhere"),
    ("ARCHIVE_URI", "http://files.example:99999"),
    ("ARCHIVE_URI", "http://files.example:port"),
    ("ARCHIVE_URI", "http://me:secret@files.example"),
    ("ARCHIVE_URI", "http://[::1"),
    ("ARCHIVE_URI", "https://files.example/a?b=c"),
    ("ARCHIVE_URI", "https://files.example/a#b"),
    ("CHECKSUM_TYPE", "shake_128"),
    ("CHECKSUM_TYPE", "crc32"),
    ("CHECKSUM_TYPE", "md5,sha1"),
    ("DIGESTS", "md5,shake_256"),
    ("DIGESTS", "md5;sha1"),
    ("MAX_CONTENT_LENGTH", "0"),
    ("MAX_CONTENT_LENGTH", "-1"),
    ("MAX_CONTENT_LENGTH", "abc"),
    ("MAX_CONTENT_LENGTH", "1.5mb"),
    ("MAX_CONTENT_LENGTH", "10 mib"),
    ("MAX_CONTENT_LENGTH", "9" * 30),
    ("MIN_FREE_BYTES", "-1"),
    ("MIN_FREE_INODES", "1e3"),
    ("MAX_STORE_BYTES", "0"),
    ("INDEX_PATH", "index.sqlite3"),
    ("HOST", "-example"),
    ("HOST", "a b"),
    ("HOST", "http://localhost"),
    ("PORT", "65536"),
    ("PORT", "-1"),
    ("PORT", "http"),
    ("PORT", "80,,5000"),
    ("PORT", "80,80"),
    ("WEB_CONCURRENCY", "0"),
    ("WEB_CONCURRENCY", "two"),
    ("THREADS", "-3"),
    ("THREADS", "1e3"),
    ("THREADS", "٣"),
    ("FSYNC", "maybe"),
    ("BODY_IDLE_SECONDS", "0"),
    ("BODY_MIN_RATE", "0"),
    ("UNPACK_MAX_BYTES", "0"),
    ("UNPACK_MAX_MEMBERS", "0"),
    ("UNPACK_MAX_RATIO", "many"),
    ("UNPACK_MAX_DEPTH", "-1"),
    ("UNPACK_MAX_DEPTH", "257"),
    ("UNPACK_MAX_PATH", "1k"),
    ("UNPACK_MAX_SECONDS", "1.5"),
    ("UNPACK_NOT", "jar"),
    ("UNPACK_NOT", ".a/b"),
    ("CONTENT_ORIGIN", "https://files.example/path"),
    ("CONTENT_ORIGIN", "files.example"),
    ("CONTENT_ORIGIN", "ftp://files.example"),
    ("CONTENT_ORIGIN", "http://[::1]:5000"),
    ("CONTENT_ORIGIN", "http://*.files.example"),
    ("CONTENT_ORIGIN", "http://files.example; script-src *"),
    ("PUBLIC_URL", "ci.example/bucket"),
    ("PUBLIC_URL", "https://ci.example/a?b"),
    ("PUBLIC_URL", "https://ci.example/a#b"),
    ("PUBLIC_URL", "https://me:secret@ci.example"),
    ("PUBLIC_URL", "https://ci.example/a b"),
    ("PUBLIC_URL", "https://ci.example//a"),
    ("PUBLIC_URL", "https://ci.example/$(id)"),
    ("PUBLIC_URL", "https://ci.example:0"),
    ("PUBLIC_URL", "https://ci.example:80"),
    ("TRUSTED_PROXIES", "*"),
    ("TRUSTED_PROXIES", "proxy.example"),
    ("TRUSTED_PROXIES", "10.0.0.1/8"),
    ("TRUSTED_PROXIES", "127.0.0.1, nginx"),
    ("FLASK_ENV", "testing"),
    ("REPLICATE_0", "../x/${A}"),
    ("REPLICATE_1", "${A"),
    ("REPLICATE_2", "no/token"),
    ("REPLICATE_3", "x" * 300 + "/${TOPIC}"),
    ("REPLICATE_4", "user/${AUTHORIZATION}"),
    ("REPLICATE_5", "/user/${TOPIC}"),
    ("REPLICATE_11", "user/${TOPIC}"),
    ("REPLICATE_00", "user/${TOPIC}"),
]


def mistakes(**environ: str) -> list[str]:
    with pytest.raises(InvalidSettings) as raised:
        Settings.from_environ(environ)
    return raised.value.mistakes


def test_the_defaults_are_the_documented_ones() -> None:
    settings = dataclasses.asdict(Settings.from_environ({}))
    unpack_not = ".jar .war .ear .aar .whl .apk .docx .xlsx .pptx .odt .epub .nupkg .vsix"
    expected: dict[str, Any] = {
        "archive_dir": Path("/tmp/bucket/archive"),
        "archive_uri": "",
        "checksum_type": "md5",
        "digests": ("md5", "sha256", "sha512"),
        "max_content_length": 32 * MIB,
        "min_free_bytes": 16 * MIB,
        "min_free_inodes": 100,
        "max_store_bytes": None,
        "index_path": None,
        "templates": (),
        "host": "0.0.0.0",
        "ports": (5000,),
        "fsync": True,
        "unpack_max_bytes": 2 * 1024**3,
        "unpack_max_members": 100_000,
        "unpack_max_ratio": 2000,
        "unpack_max_depth": 64,
        "unpack_max_path": 1024,
        "unpack_max_seconds": 300,
        "unpack_not": tuple(unpack_not.split()),
        "content_cors": True,
        "content_origin": None,
        "public_url": None,
        "trusted_proxies": (),
        "development": False,
    }
    assert {name: settings[name] for name in expected} == expected


@pytest.mark.parametrize(("variable", "text", "attribute", "value"), GOOD)
def test_a_good_value_is_read(variable: str, text: str, attribute: str, value: object) -> None:
    assert getattr(Settings.from_environ({variable: text}), attribute) == value


@pytest.mark.parametrize(("variable", "text"), BAD)
def test_a_bad_value_is_one_sentence_that_names_its_variable(variable: str, text: str) -> None:
    for mistake in (found := mistakes(**{variable: text})):
        assert mistake.startswith(f"{variable}: ")
        assert mistake.endswith(".")
        assert not mistake.endswith("..")
        assert "\n" not in mistake
    assert len(found) == len(set(found)) >= 1


@pytest.mark.parametrize("variable", sorted({variable for variable, *_ in GOOD}))
@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_counts_as_missing(variable: str, text: str) -> None:
    assert Settings.from_environ({variable: text}) == Settings.from_environ({})


@pytest.mark.parametrize("variable", ["REPLICATE_0", "REPLICATE_10", "REPLICATE_11"])
def test_an_empty_template_counts_as_missing(variable: str) -> None:
    assert Settings.from_environ({variable: ""}).templates == ()


def test_all_mistakes_are_told_together() -> None:
    found = mistakes(PORT="x", FSYNC="maybe", REPLICATE_3="no/token", CHECKSUM_TYPE="shake_128")
    assert [mistake.split(":")[0] for mistake in found] == [
        *("CHECKSUM_TYPE", "REPLICATE_3", "PORT", "FSYNC"),
    ]


def test_a_template_with_several_mistakes_tells_them_all() -> None:
    found = mistakes(REPLICATE_0="../a|b/${COOKIE}")
    assert len(found) >= 3
    assert all(mistake.startswith("REPLICATE_0: ") for mistake in found)


@pytest.mark.parametrize("public", [FILES, "http://files.example/bucket"])
def test_contents_are_not_where_the_pages_are(public: str) -> None:
    (mistake,) = mistakes(CONTENT_ORIGIN=FILES, PUBLIC_URL=public)
    assert mistake.startswith("CONTENT_ORIGIN: ")
    found = Settings.from_environ({"CONTENT_ORIGIN": FILES, "PUBLIC_URL": f"{FILES}:8443"})
    assert str(found.public_url) == f"{FILES}:8443"


def test_templates_are_read_in_the_order_of_their_numbers() -> None:
    environ = {f"REPLICATE_{n}": f"{n}/${{TOPIC}}" for n in (10, 2, 0)}
    templates = Settings.from_environ(environ).templates
    assert list(map(str, templates)) == ["0/${TOPIC}", "2/${TOPIC}", "10/${TOPIC}"]


def test_sha256_and_the_checksum_type_are_always_recorded() -> None:
    settings = Settings.from_environ({"DIGESTS": "md5", "CHECKSUM_TYPE": "sha1"})
    assert settings.digests == ("md5", "sha256", "sha1")


def test_other_variables_do_not_matter() -> None:
    environ = {"PATH": "/bin", "REPLICATE": "x", "REPLICATE_X": "y", "MY_REPLICATE_99": "z"}
    assert Settings.from_environ(environ) == Settings.from_environ({})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings.from_environ({}).threads = 3  # type: ignore[misc]


class TestRetention:
    def test_it_is_for_ever_unless_set(self) -> None:
        retention = Settings.from_environ({"REPLICATE_0": "user/${USERNAME}"}).retention
        assert (retention.days, retention.max_days) == (None, None)
        assert [(one.days, one.keep) for one in retention.templates] == [(None, None)]

    def test_templates_have_their_own(self) -> None:
        environ = {
            "REPLICATE_3": "user/${USERNAME}",
            "REPLICATE_3_DAYS": "7",
            "REPLICATE_3_KEEP": "10",
            "RETENTION_DAYS": "90",
            "RETENTION_MAX_DAYS": "365",
        }
        retention = Settings.from_environ(environ).retention
        assert (retention.days, retention.max_days) == (90, 365)
        assert [(one.days, one.keep) for one in retention.templates] == [(7, 10)]

    @pytest.mark.parametrize(
        "environ",
        [
            {"RETENTION_DAYS": "0"},
            {"RETENTION_MAX_DAYS": "x"},
            {"REPLICATE_0_DAYS": "5"},
            {"REPLICATE_0": "user/${USERNAME}", "REPLICATE_0_KEEP": "-1"},
        ],
    )
    def test_a_rule_that_is_none_is_a_mistake(self, environ: dict[str, str]) -> None:
        with pytest.raises(InvalidSettings) as refusal:
            Settings.from_environ(environ)
        assert len(refusal.value.mistakes) == 1
