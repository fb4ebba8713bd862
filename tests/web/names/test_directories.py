"""A directory's page: its order, what it says of itself, and the way into a tree."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

import pytest

from httpbucket.domain.errors import StorageUnavailable
from httpbucket.services import readme
from httpbucket.services.browse import Browse
from httpbucket.web import directories, listing
from tests.builders import tar, tar_member
from tests.web.names.conftest import NewSite
from tests.web.names.site import Site
from tests.web.names.test_pages import BROWSER, page

FILES = {
    "b.txt": b"bbb",
    "a.json": b"{}",
    "c.txt": b"c",
    "z/inner.txt": b"inner",
    "same.txt": b"yyy",
}


@pytest.fixture(params=[True, False], ids=["memory", "local"])
def site(request: pytest.FixtureRequest, new_site: NewSite) -> Site:
    return new_site(in_memory=request.param)


def tree(site: Site, files: Mapping[str, bytes]) -> str:
    """The path of an unpacked tree; each file is a day younger than the one before."""
    members = [
        tar_member(name, content, mtime=1_700_000_000 + 86_400 * number)
        for number, (name, content) in enumerate(files.items())
    ]
    receipt = site.upload(tar(*members), "t.tar")
    return f"/{receipt['path']['archive']}/"


def listed(text: str) -> list[str]:
    """The names in the table, in its order."""
    return [html.unescape(name) for name in re.findall(r'<tr><td><a href="[^"]*">([^<]*)', text)]


def sorts(text: str) -> dict[str, tuple[str, str]]:
    """What each column's head says, and the order that it leads to."""
    heads = re.findall(r'aria-sort="(\w+)".*?name="sort" value="([^"]+)"', text)
    return {value.removeprefix("-"): (aria, value) for aria, value in heads}


class TestOrder:
    @pytest.mark.parametrize(
        ("sort", "expected"),
        [
            ("name", ["a.json", "b.txt", "c.txt", "same.txt", "z/"]),
            ("-name", ["z/", "same.txt", "c.txt", "b.txt", "a.json"]),
            ("size", ["z/", "c.txt", "a.json", "b.txt", "same.txt"]),
            ("-size", ["b.txt", "same.txt", "a.json", "c.txt", "z/"]),
            ("kind", ["z/", "a.json", "b.txt", "c.txt", "same.txt"]),
            ("-kind", ["b.txt", "c.txt", "same.txt", "a.json", "z/"]),
        ],
    )
    def test_every_column_sorts_both_ways_and_equal_ones_by_name(
        self, site: Site, sort: str, expected: list[str]
    ) -> None:
        text = page(site, f"{tree(site, FILES)}?sort={sort}")
        assert listed(text) == expected
        column, descending = sort.removeprefix("-"), sort.startswith("-")
        aria = {name: told for name, (told, _) in sorts(text).items()}
        assert aria.pop(column) == ("descending" if descending else "ascending")
        assert set(aria.values()) == {"none"}

    def test_the_newest_come_first_when_they_are_sorted_by_time(self, site: Site) -> None:
        files = {name: content for name, content in FILES.items() if "/" not in name}
        text = page(site, f"{tree(site, files)}?sort=-modified")
        assert listed(text) == [*reversed(files)]

    def test_a_head_leads_to_the_useful_order_and_then_the_other_way_round(
        self, site: Site
    ) -> None:
        path = tree(site, FILES)
        asked = {column: value for column, (_, value) in sorts(page(site, path)).items()}
        assert asked == {
            "name": "-name",
            "size": "-size",
            "modified": "-modified",
            "kind": "kind",
        }
        assert sorts(page(site, f"{path}?sort=-size"))["size"] == ("descending", "size")

    def test_no_link_leads_to_another_order_of_the_page(self, site: Site) -> None:
        text = page(site, f"{tree(site, FILES | {'README.md': b'read'})}?sort=size")
        assert not [link for link in re.findall(r'href="([^"]*)"', text) if "?" in link]

    def test_too_many_are_not_sorted_and_the_page_says_so(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tree(site, FILES)
        for module in (listing, directories):
            monkeypatch.setattr(module, "MOST_SORTED", 4)
        text = page(site, f"{path}?sort=-size")
        assert listed(text) == ["a.json", "b.txt", "c.txt", "same.txt", "z/"]
        assert "more than 4 entries" in text
        assert sorts(text)["name"][0] == "ascending"
        assert "more than 4 entries" not in page(site, path)

    @pytest.mark.parametrize("query", ["?sort=colour", "?sort=", "?sort=--size", "?json&sort=size"])
    def test_an_order_that_there_is_not_is_refused(self, site: Site, query: str) -> None:
        answer = site.get(tree(site, FILES) + query, **BROWSER)
        assert answer.status_code == 400


class TestReadme:
    @pytest.mark.parametrize("name", ["README.md", "README.txt", "README", "readme.md"])
    def test_it_is_shown_below_the_listing_as_text(self, site: Site, name: str) -> None:
        text = page(site, tree(site, {"a.txt": b"a", name: b"# <b>Hi</b>\n\x1b[31mred\n"}))
        assert f'<h2 id="readme-title">{name}</h2>' in text
        assert "# &lt;b&gt;Hi&lt;/b&gt;" in text
        assert '<span class="ink1">red</span>' in text
        assert text.index("</table>") < text.index('id="readme"')

    def test_only_the_beginning_of_a_long_one_is_shown(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(readme, "MOST_BYTES", 10)
        text = page(site, tree(site, {"README.md": b"12345678\n\xc3\xa9 the rest"}))
        assert "12345678\n" in text
        assert "the rest" not in text
        assert "Only its beginning." in text
        assert "\\x" not in text

    @pytest.mark.parametrize(
        "files", [{"README.md": b"\0\1"}, {"README.md": b" \n"}, {"README.md/a.txt": b"x"}]
    )
    def test_what_is_no_text_is_not_shown(self, site: Site, files: dict[str, bytes]) -> None:
        assert 'id="readme"' not in page(site, tree(site, files))

    def test_one_that_cannot_be_read_does_not_hide_the_listing(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(self: object, shown: object) -> None:
            raise StorageUnavailable("The store cannot be used now: permission denied.")

        path = tree(site, {"a.txt": b"a", "README.md": b"read"})
        monkeypatch.setattr(Browse, "open", refuse)
        assert listed(page(site, path)) == ["README.md", "a.txt"]

    def test_that_of_latest_is_shown_below_latest(self, new_site: NewSite) -> None:
        site = new_site()
        members = tar(tar_member("README.md", b"of the newest"))
        site.upload(members, "report.tar", Username="bob")
        assert "of the newest" in page(site, "/replica/user/bob/report.latest/")


class TestWayIn:
    def test_directories_that_hold_one_directory_are_passed(self, site: Site) -> None:
        members = tar(tar_member("report/x/index.html", b"<p>"), tar_member("report/x/a", b"a"))
        receipt = site.upload(members, "report.tar")
        text = page(site, f"/uploads/{receipt['upload']['id']}")
        inner = f"/{receipt['path']['archive']}/report/x/"
        assert f'<a class="button" href="{inner}index.html">Open the report</a>' in text
        assert f'<a class="button second" href="{inner}">Browse 2 files</a>' in text

    def test_a_tree_that_branches_is_entered_at_its_top(self, site: Site) -> None:
        receipt = site.upload(tar(tar_member("a/x", b"x"), tar_member("b/x", b"x")), "t.tar")
        text = page(site, f"/uploads/{receipt['upload']['id']}")
        assert f'<a class="button" href="/{receipt["path"]["archive"]}/">Browse 2 files' in text
        assert "Open the report" not in text

    def test_an_upload_whose_tree_is_gone_still_has_its_page(self, new_site: NewSite) -> None:
        site = new_site()
        receipt = site.upload(tar(tar_member("a/x", b"x")), "t.tar")
        (site.root / receipt["path"]["archive"]).rename(site.root / "private" / "aside")
        page(site, f"/uploads/{receipt['upload']['id']}")


def test_who_searches_sees_what_was_found_first(site: Site) -> None:
    site.upload(b"x", "a.txt")
    text = page(site, "/?name=a")
    assert '<h1 id="uploads">Uploads that fit</h1>' in text
    assert "Free space" not in text
    assert text.count("<h1") == 1


def test_every_page_can_be_skipped_to_its_content(site: Site) -> None:
    receipt = site.upload(b"x", "a.txt")
    for path in ("/", "/upload", "/archive/", f"/uploads/{receipt['upload']['id']}"):
        text = page_or_form(site, path)
        assert text.index('href="#main"') < text.index("<header>")
        assert '<main id="main" tabindex="-1">' in text
    assert 'aria-current="page">Archive<' in page(site, "/archive/")


def page_or_form(site: Site, path: str) -> str:
    return site.get(path, **BROWSER).get_data().decode()
