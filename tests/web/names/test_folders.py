"""An upload whose names lie in a folder of its directory is shown there, tree and all."""

from __future__ import annotations

import gzip

from tests.builders import tar, tar_member
from tests.web.names.site import Site

PACKED = gzip.compress(tar(tar_member("sub/a.txt", b"a")))


def test_the_file_what_is_inside_and_the_tree_lie_in_the_folder(site: Site) -> None:
    with site.client.put("/upload/b c/results.tgz?path=a", data=PACKED) as answer:
        receipt = answer.get_json()
    top = receipt["path"]["upload"]
    assert receipt["path"]["file"] == f"{top}/a/b c/results.tgz"
    assert receipt["path"]["archive"] == f"{top}/a/b c/results"
    assert site.get(f"/{top}/a/b c/results.tgz").data == PACKED
    assert site.get(f"/{top}/a/b c/results.tar").data == gzip.decompress(PACKED)
    member = site.get(f"/{top}/a/b c/results/sub/a.txt")
    assert (member.data, member.status_code) == (b"a", 200)
    assert "Repr-Digest" in member.headers
    assert site.get(f"/{top}/?simple").text.split() == ["a/"]


def test_the_page_leads_to_them(site: Site) -> None:
    with site.client.put("/upload/b c/results.tgz", data=PACKED) as answer:
        receipt = answer.get_json()
    top = receipt["path"]["upload"]
    page = site.get(f"/uploads/{receipt['upload']['id']}", Accept="text/html").text
    assert f'href="/{top}/b%20c/results.tgz"' in page
    assert f'href="/{top}/b%20c/results/"' in page
    assert f"curl -OJ 'http://localhost/{top}/b%20c/results.tgz'" in page


def test_checksums_of_the_upload_name_the_folder(site: Site) -> None:
    with site.client.put("/upload/a/x.txt", data=b"x") as answer:
        receipt = answer.get_json()
    sums = site.get(f"/{receipt['path']['upload']}/SHA256SUMS").text
    assert sums == f"{receipt['upload']['digests']['sha256']}  a/x.txt\n"


def test_nothing_else_in_the_upload_has_facts(site: Site) -> None:
    with site.client.put("/upload/a/x.txt", data=b"x") as answer:
        top = answer.get_json()["path"]["upload"]
    assert site.get(f"/{top}/x.txt").status_code == 404
    assert site.get(f"/{top}/a/").status_code == 200
    assert site.get(f"/{top}/a").status_code in {301, 302, 307, 308}
