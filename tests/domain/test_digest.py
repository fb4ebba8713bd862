"""A digest is read in every spelling and printed in one."""

import hashlib
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpbucket.domain.digest import (
    BARE_HEX_ORDER,
    Digest,
    algorithm_name,
    digest_size,
    read_question,
    sha256,
)
from httpbucket.domain.errors import InvalidDigest

ALGORITHMS = st.sampled_from([*BARE_HEX_ORDER, "blake2b", "blake2s", "sha3_256", "sha3_512"])


@given(ALGORITHMS, st.binary())
def test_a_digest_prints_back_what_it_was_read_from(algorithm: str, content: bytes) -> None:
    digest = Digest.of(algorithm, hashlib.new(algorithm, content).digest())
    assert Digest.parse(str(digest)) == Digest.parse(str(digest).upper()) == digest
    assert str(digest) == f"{algorithm}:{digest.value.hex()}"


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("sha-256", "sha256"),
        ("SHA2-256", "sha256"),
        ("sha-512", "sha512"),
        ("sha3-256", "sha3_256"),
        ("MD5", "md5"),
    ],
)
def test_an_algorithm_has_one_name_whatever_it_is_called(spelling: str, name: str) -> None:
    assert algorithm_name(spelling) == name
    size = digest_size(name)
    assert size
    assert str(Digest.parse(f"{spelling}:{'0' * 2 * size}")) == f"{name}:{'0' * 2 * size}"


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [("md5", 16), ("sha512", 64), ("blake2b", 64), ("shake_128", None), ("", None), ("no", None)],
)
def test_an_algorithm_of_no_fixed_length_is_none(algorithm: str, size: int | None) -> None:
    assert digest_size(algorithm) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "md5",
        "md5:",
        ":0",
        "x:00",
        "shake_128:00",
        f"md5:{'0' * 31}",
        f"md5:{'g' * 32}",
        f"md5:{'0' * 32}\n",
        f"md5:{'٠' * 32}",
        f"../md5:{'0' * 32}",
        f"md5:md5:{'0' * 32}",
    ],
)
def test_what_is_no_digest_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidDigest, match="expected"):
        Digest.parse(text)


@given(st.text())
def test_a_question_is_answered_with_digests_or_refused(text: str) -> None:
    try:
        assert read_question(text, preferred="md5")
    except InvalidDigest as error:
        assert len(str(error)) < 1200


@pytest.mark.parametrize(
    ("digits", "preferred", "algorithms"),
    [
        (32, "md5", ["md5"]),
        (40, "md5", ["sha1"]),
        (56, "md5", ["sha224"]),
        (64, "md5", ["sha256"]),
        (64, "blake2s", ["blake2s", "sha256"]),
        (96, "md5", ["sha384"]),
        (128, "sha512", ["sha512"]),
        (128, "blake2b", ["blake2b", "sha512"]),
    ],
)
def test_bare_hex_means_the_preferred_algorithm_first(
    digits: int, preferred: str, algorithms: list[str]
) -> None:
    found = read_question("AB" * (digits // 2), preferred=preferred)
    assert [digest.algorithm for digest in found] == algorithms
    assert {digest.hex for digest in found} == {"ab" * (digits // 2)}


@pytest.mark.parametrize("text", ["", "0", "0" * 33, "g" * 32, "../../etc/passwd", "0" * 32 + "\n"])
def test_bare_text_of_no_length_or_no_hex_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest):
        read_question(text, preferred="md5")


def test_a_question_with_its_algorithm_means_that_one() -> None:
    assert read_question(f"SHA256:{'A' * 64}", preferred="md5") == (sha256("a" * 64),)


def test_memory_does_not_grow_with_the_algorithms_that_clients_make_up() -> None:
    tracemalloc.start()
    try:
        for number in range(3000):
            digest_size(f"{number:04}{'x' * 1000}")
        assert tracemalloc.get_traced_memory()[0] < 500_000
    finally:
        tracemalloc.stop()
