"""Sites to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.names.site import Site

NewSite = Callable[..., Site]


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[NewSite]:
    sites: list[Site] = []

    def new(**options: Any) -> Site:
        site = Site(tmp_path / f"store-{len(sites)}", **options)
        sites.append(site)
        return site

    yield new
    for site in sites:
        site.close()


@pytest.fixture
def site(new_site: NewSite) -> Site:
    return new_site()
