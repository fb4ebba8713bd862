"""What is uploaded and downloaded: small contents, a big file, archive files of many members."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmark.scale import MIB, SMALL_BYTES, Scale

_MEMBERS_IN_A_DIRECTORY = 200


@dataclass(frozen=True)
class Content:
    """A small content with its name and SHA-256."""

    name: str
    content: bytes
    sha256: str


@dataclass(frozen=True)
class Big:
    """A big file: a first line that differs for every upload, then what lies in ``rest``."""

    rest: Path
    size: int

    def first_line(self, number: int) -> bytes:
        """Makes upload ``number`` a content of its own."""
        return b"upload %24d\n" % number

    def sha256(self, number: int) -> str:
        """The digest of upload ``number``."""
        with self.rest.open("rb") as rest:
            hasher = hashlib.sha256(self.first_line(number))
            while piece := rest.read(MIB):
                hasher.update(piece)
        return hasher.hexdigest()


@dataclass(frozen=True)
class Contents:
    """All that a run needs; made once."""

    kept: list[Content]
    big: Big
    archives: dict[str, Path]


def make(directory: Path, scale: Scale) -> Contents:
    """Make everything below ``directory``."""
    archives = {suffix: directory / f"many.{suffix}" for suffix in ("tgz", "zip")}
    archives["tgz"].write_bytes(tgz_of_pages(1, scale.members))
    archives["zip"].write_bytes(zip_of_pages(2, scale.members))
    return Contents(
        kept=list(small_contents(scale.kept_files, seed=3)),
        big=_big(directory / "big", scale.big_bytes),
        archives=archives,
    )


def small_contents(count: int, *, seed: int) -> Iterator[Content]:
    """Contents of 10 KiB that are all different."""
    chance = random.Random(seed)
    for number in range(count):
        content = chance.randbytes(SMALL_BYTES)
        sha256 = hashlib.sha256(content).hexdigest()
        yield Content(f"{seed}-{number}.bin", content, sha256)


def small_reports(count: int, *, seed: int) -> Iterator[Content]:
    """Test results of 10 KiB: unlike those bytes of chance, they have a type to be recognised."""
    for number in range(count):
        case = '<testcase classname="report" name="case %d of %d of %d" time="0.01"/>\n'
        lines = "".join(case % (line, number, seed) for line in range(SMALL_BYTES // 50))
        content = f'<?xml version="1.0"?>\n<testsuite name="s">\n{lines}'.encode()[:SMALL_BYTES]
        yield Content(f"{seed}-{number}.xml", content, hashlib.sha256(content).hexdigest())


def tar_of(contents: list[Content]) -> bytes:
    """A plain tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for one in contents:
            _add(archive, one.name, one.content)
    return packed.getvalue()


def tgz_of_pages(seed: int, count: int) -> bytes:
    """A ``.tgz`` of pages that are all different and compress about as HTML does."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
        for name, content in _pages(seed, count):
            _add(archive, name, content)
    return packed.getvalue()


def zip_of_pages(seed: int, count: int) -> bytes:
    """A zip of such pages."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _pages(seed, count):
            archive.writestr(name, content)
    return packed.getvalue()


def _pages(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    chance = random.Random(seed)
    words = [chance.randbytes(4).hex() for _ in range(2000)]
    for number in range(count):
        name = f"report/{number // _MEMBERS_IN_A_DIRECTORY:03}/module_{number:05}.html"
        yield name, " ".join(chance.choices(words, k=chance.randint(115, 340))).encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _big(path: Path, size: int) -> Big:
    piece = random.Random(4).randbytes(MIB)
    big = Big(path, size)
    rest = size - len(big.first_line(0))
    with path.open("wb") as file:
        for start in range(0, rest, MIB):
            # Shifted each time, so that no two pieces are equal.
            shift = start // MIB % MIB
            file.write((piece[shift:] + piece[:shift])[: rest - start])
    return big
