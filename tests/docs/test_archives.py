"""The reference of archive files holds what the code holds: findings and limits."""

from __future__ import annotations

import re

from httpbucket.config import Settings
from httpbucket.domain.unpacking import CannotUnpack
from tests.docs.pages import ROOT, codes, reference, rows

PAGE = reference("archives")
CONTENT = ROOT / "assets/src/httpbucket/content"


def test_every_finding_is_in_the_reference_and_no_other() -> None:
    documented = [codes(row[0])[0] for row in rows(PAGE) if len(row) == 2 and "-" in row[0]]
    assert sorted(documented) == sorted(_refusals() | _findings())


def test_every_limit_is_in_the_reference_with_its_default() -> None:
    documented = {
        codes(row[0])[0]: codes(row[1])[0] for row in rows(PAGE) if row[0].startswith("`UNPACK_")
    }
    fields = {name for name in Settings.__dataclass_fields__ if name.startswith("unpack_")}
    assert {name.lower() for name in documented} == fields - {"unpack_not"}
    assert Settings.from_environ(documented) == Settings.from_environ({})


def _refusals() -> set[str]:
    kinds = [CannotUnpack]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return {kind.problem for kind in kinds} - {CannotUnpack.problem}


def _findings() -> set[str]:
    """What is added to findings, in place or by the name of a constant."""
    sources = "".join(path.read_text() for path in CONTENT.glob("*.py"))
    added = re.findall(r'[Ff]indings?(?:\.add)?\(\s*"([a-z-]+)"', sources)
    constants = re.findall(r'^TRAILING_BYTES = "([a-z-]+)"', sources, re.MULTILINE)
    return {*added, *constants}
