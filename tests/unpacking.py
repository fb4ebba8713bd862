"""An archive file read and planned as a service does it, all in memory."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from httpbucket.content.archive import read_archive
from httpbucket.content.decompress import decompress
from httpbucket.content.findings import Findings
from httpbucket.content.kind import ArchiveKind, Compression
from httpbucket.content.limits import Budget, UnpackLimits
from httpbucket.content.members import MemberKind
from httpbucket.content.tree_plan import PlannedFile, TreePlan


@dataclass
class Unpacked:
    """What came out: contents, facts and empty directories by path, and the findings' names."""

    files: dict[str, bytes]
    executable: set[str]
    mtimes: dict[str, float]
    empty_directories: set[str]
    problems: list[str]
    sentences: list[str]


def unpacked(
    archive: bytes | BinaryIO, kind: ArchiveKind, limits: UnpackLimits | None = None
) -> Unpacked:
    """Everything that an archive file unpacks to. Raises `CannotUnpack`'s subclasses."""
    stream = BytesIO(archive) if isinstance(archive, bytes) else archive
    findings = Findings()
    budget = Budget(limits or UnpackLimits(), source_size=1 << 20)
    plan: TreePlan[bytes] = TreePlan(findings)
    for member, content in read_archive(stream, kind, budget=budget, findings=findings):
        if member.kind is MemberKind.FILE:
            plan.add_file(member, b"".join(content))
        else:
            plan.add(member)
    entries = dict(plan.entries())
    files = {path: found for path, found in entries.items() if isinstance(found, PlannedFile)}
    return Unpacked(
        files={path: found.content for path, found in files.items()},
        executable={path for path, found in files.items() if found.executable},
        mtimes={path: found.mtime for path, found in entries.items()},
        empty_directories=entries.keys() - files.keys(),
        problems=[finding.problem for finding in findings.told()],
        sentences=[finding.sentence for finding in findings.told()],
    )


def untarred(archive: bytes, limits: UnpackLimits | None = None) -> Unpacked:
    """What a tar unpacks to."""
    return unpacked(archive, ArchiveKind.TAR, limits)


def unzipped(archive: bytes, limits: UnpackLimits | None = None) -> Unpacked:
    """What a zip unpacks to."""
    return unpacked(archive, ArchiveKind.ZIP, limits)


def decompressed(
    packed: bytes | BinaryIO, compression: Compression, *, budget: Budget | None = None
) -> tuple[bytes, list[str]]:
    """The content of a compressed file, and the findings' names."""
    stream = BytesIO(packed) if isinstance(packed, bytes) else packed
    budget = budget or Budget(UnpackLimits(), source_size=1 << 20)
    findings = Findings()
    content = b"".join(decompress(stream, compression, budget=budget, findings=findings))
    return content, [finding.problem for finding in findings.told()]
