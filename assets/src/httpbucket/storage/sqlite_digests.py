"""A blob's digests in two columns: the algorithms as text, the values one behind the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from httpbucket.domain.digest import Digest, digest_size


def packed(digests: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """The two columns of these algorithms and raw values."""
    return ",".join([name for name, _ in digests]), b"".join([value for _, value in digests])


def unpacked(algorithms: str, values: bytes) -> Iterator[Digest]:
    """The digests that `packed` put there."""
    start = 0
    for algorithm in filter(None, algorithms.split(",")):
        end = start + (digest_size(algorithm) or 0)
        yield Digest.of(algorithm, values[start:end])
        start = end
