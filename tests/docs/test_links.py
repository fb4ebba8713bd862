"""Every link within the documentation leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, links, name_of

#: Pages that are on their way and may be linked already.
AWAITED = {ROOT / "docs" / "how-to" / "run-in-docker.md"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_resolves(page: Path) -> None:
    relative = [link for link in links(page) if "://" not in link]
    broken = [link for link in relative if not _resolves(page, link)]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_link_leaves_the_repository_by_a_path(page: Path) -> None:
    relative = [link.partition("#")[0] for link in links(page) if "://" not in link]
    assert all((page.parent / path).resolve().is_relative_to(ROOT) for path in relative)


def _resolves(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if target in AWAITED:
        return True
    return target.exists() and (not anchor or anchor in set(anchors(target)))
