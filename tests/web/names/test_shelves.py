"""What programs get under ``/archive`` and ``/replica``."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import tarfile
import zipfile
from html.parser import HTMLParser
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import pytest

from tests.builders import ZipEntry, tar, tar_member, zip_file
from tests.web.names.conftest import NewSite
from tests.web.names.site import Site

EVIL = "<img src=x onerror=alert(1)>\"'&:?#%41.txt"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def tree(site: Site, members: dict[str, bytes], **headers: str) -> str:
    """The path of the unpacked tree of a tar of these members."""
    packed = tar(*(tar_member(name, content) for name, content in members.items()))
    path: str = site.upload(packed, "results.tar", **headers)["path"]["archive"]
    return f"/{path}/"


class Links(HTMLParser):
    """The targets and texts of a page's links in its table."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_table = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_table = self._in_table or tag == "table"
        if tag == "a" and self._in_table:
            self.found.append(dict(attrs)["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_table = self._in_table and tag != "table"


class TestFiles:
    def test_an_uploaded_file_is_read_under_its_name(self, site: Site) -> None:
        content = b'<?xml version="1.0"?><results/>'
        receipt = site.upload(content, "日本語 x.xml")
        answer = site.get(f"{site.directory(receipt)}日本語 x.xml")
        assert answer.get_data() == content
        assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"

    @pytest.mark.parametrize(
        ("name", "disposition"),
        [
            ("x.xml", "filename=x.xml"),
            ("a b.xml", 'filename="a b.xml"'),
            ("é.xml", "filename=_.xml; filename*=UTF-8''%C3%A9.xml"),
            ("日 x.xml", "filename=\"_ x.xml\"; filename*=UTF-8''%E6%97%A5%20x.xml"),
        ],
    )
    def test_the_name_is_told_in_ascii_and_as_it_is(
        self, site: Site, name: str, disposition: str
    ) -> None:
        receipt = site.upload(b"<results/>", name)
        for path in (f"{site.directory(receipt)}{name}", f"/{receipt['path']['blob']}"):
            assert site.get(path).headers["Content-Disposition"] == f"inline; {disposition}"

    def test_a_planted_name_cannot_write_headers_or_lines(self, site: Site) -> None:
        (site.root / "replica" / "a\r\nSet-Cookie: b").write_text("x")
        assert site.get("/replica/a%0d%0aSet-Cookie:%20b").status_code == 404
        assert site.get("/replica/?simple").get_data() == b""

    def test_digests_are_told_as_the_rfcs_write_them(self, site: Site) -> None:
        receipt = site.upload(b"<results/>")
        answer = site.get(f"{site.directory(receipt)}results.xml", "HEAD")
        sha256 = base64.b64encode(hashlib.sha256(b"<results/>").digest()).decode()
        assert f"sha-256=:{sha256}:" in answer.headers["Repr-Digest"].split(", ")
        assert f"SHA-256={sha256}" in answer.headers["Digest"].split(",")

    def test_content_is_sandboxed_and_may_be_read_by_any_page(self, site: Site) -> None:
        path = f"{tree(site, {'index.html': b'<script>'})}index.html"
        answer = site.get(path)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = answer.headers["Content-Security-Policy"]
        assert policy == "sandbox allow-scripts allow-popups allow-forms"
        assert "allow-same-origin" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"

    def test_the_operator_can_end_that_any_page_may_read(self, new_site: NewSite) -> None:
        site = new_site(environ={"CONTENT_CORS": "off"})
        receipt = site.upload(b"<results/>")
        for path in (f"{site.directory(receipt)}results.xml", f"/{receipt['path']['blob']}"):
            assert "Access-Control-Allow-Origin" not in site.get(path).headers

    def test_nothing_but_content_may_be_read_by_any_page(self, site: Site) -> None:
        directory = site.directory(site.upload(b"<results/>"))
        own = ("/", "/config", "/upload", directory, "?json", "?zip", "?tar", "SHA256SUMS", "none")
        for path in own:
            answer = site.get(path if path.startswith("/") else directory + path)
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "sandbox" not in answer.headers["Content-Security-Policy"]

    def test_a_path_under_latest_is_asked_for_again_and_tells_when_it_came(
        self, site: Site
    ) -> None:
        tree(site, {"x.txt": b"one"}, Username="bob")
        path = "/replica/user/bob/results.latest/x.txt"
        first = site.get(path)
        assert first.headers["Cache-Control"] == "no-cache"
        tree(site, {"x.txt": b"two"}, Username="bob")
        second = site.get(path, If_None_Match=first.headers["ETag"])
        assert (second.status_code, second.get_data()) == (200, b"two")
        record = site.uploads()[0]
        assert second.last_modified == record.received.replace(microsecond=0)

    def test_a_replica_has_the_facts_of_its_upload(self, site: Site) -> None:
        receipt = site.upload(b"<results/>", Username="bob")
        (path,) = receipt["path"]["replicas"]
        answer = site.get(f"/{path}")
        assert answer.headers["ETag"] == f'"{receipt["upload"]["digests"]["sha256"]}"'
        assert answer.headers["Cache-Control"] == "no-cache"

    def test_a_file_that_somebody_else_put_there_is_shown_with_a_weak_validator(
        self, site: Site
    ) -> None:
        (site.root / "replica" / "README.md").write_text("# Ours")
        answer = site.get("/replica/README.md")
        assert answer.get_data() == b"# Ours"
        assert answer.headers["ETag"].startswith("W/")
        assert answer.headers["Cache-Control"] == "no-cache"
        assert "Repr-Digest" not in answer.headers
        assert site.get("/replica/README.md", Range="bytes=2-").get_data() == b"Ours"

    def test_a_file_that_somebody_changed_is_not_told_to_be_what_it_was(self, site: Site) -> None:
        receipt = site.upload(b"<results/>")
        path = site.root / receipt["path"]["upload"] / "results.xml"
        path.unlink()
        path.write_bytes(b"something else")
        answer = site.get(f"{site.directory(receipt)}results.xml")
        assert answer.get_data() == b"something else"
        assert answer.headers["ETag"].startswith("W/")
        assert site.get(f"{site.directory(receipt)}SHA256SUMS").get_data() == b""

    def test_while_the_index_is_rebuilt_bytes_are_shown_but_no_zip_lacks_them(
        self, site: Site
    ) -> None:
        (path,) = site.upload(b"<results/>", Username="bob")["path"]["replicas"]
        site.close()
        for file in (site.root / "private").glob("index.sqlite3*"):
            file.unlink()
        assert site.get(f"/{path}").get_data() == b"<results/>"
        for packed in ("?zip", "SHA256SUMS"):
            assert site.get(f"/replica/user/bob/{packed}").status_code == 503

    @pytest.mark.parametrize("name", [".upload.json", ".manifest.jsonl"])
    def test_record_and_manifest_are_read_by_name_but_not_listed(
        self, site: Site, name: str
    ) -> None:
        directory = tree(site, {"x.txt": b"one"}).removesuffix("results/")
        assert b'"format"' in site.get(directory + name).get_data()[:20]
        assert name not in site.get(f"{directory}?simple").get_data().decode()


class TestGzip:
    LOG = b"a line of a log\n" * 1000

    def ask(self, site: Site, packed: bytes, accept: str, name: str = "x.log") -> Any:
        directory = site.directory(site.upload(packed, f"{name}.gz"))
        return site.get(f"{directory}{name}", Accept_Encoding=accept)

    @pytest.mark.parametrize("accept", ["gzip", "gzip, deflate, br", "*", "identity;q=0.5, gzip"])
    def test_the_stored_gzip_goes_out_to_who_undoes_it(self, site: Site, accept: str) -> None:
        packed = gzip.compress(self.LOG)
        answer = self.ask(site, packed, accept)
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["ETag"] == f'"{hashlib.sha256(packed).hexdigest()}"'
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.get_data() == packed

    @pytest.mark.parametrize("accept", ["", "identity", "br", "gzip;q=0", "gzip;q=0.5, identity"])
    def test_others_get_the_content(self, site: Site, accept: str) -> None:
        answer = self.ask(site, gzip.compress(self.LOG), accept)
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.get_data() == self.LOG

    def test_several_members_are_undone_here(self, site: Site) -> None:
        packed = gzip.compress(self.LOG) + gzip.compress(b"end\n")
        assert self.ask(site, packed, "gzip").get_data() == self.LOG + b"end\n"

    def test_a_replica_is_sent_likewise(self, site: Site) -> None:
        packed = gzip.compress(self.LOG)
        site.upload(packed, "x.log.gz", Username="bob")
        answer = site.get("/replica/user/bob/x.latest.log", Accept_Encoding="gzip")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.get_data() == packed


class TestListings:
    def test_html_is_for_everybody_who_does_not_say_otherwise(self, site: Site) -> None:
        directory = tree(site, {"x.txt": b"one"})
        for accept in ("", "*/*", "text/html", HTML["Accept"], "image/png"):
            assert site.get(directory, Accept=accept).mimetype == "text/html"
        assert site.get(directory, Accept="application/json").mimetype == "application/json"
        assert site.get(directory, Accept="text/plain").mimetype == "text/plain"

    @pytest.mark.parametrize(
        ("flag", "kind"),
        [
            ("json", "application/json"),
            ("simple", "text/plain"),
            ("zip", "application/zip"),
            ("tar", "application/x-tar"),
        ],
    )
    def test_a_flag_says_it_louder_and_needs_no_slash(
        self, site: Site, flag: str, kind: str
    ) -> None:
        directory = tree(site, {"x.txt": b"one"})
        for path in (directory, directory.removesuffix("/")):
            answer = site.get(f"{path}?{flag}", **HTML)
            assert (answer.status_code, answer.mimetype) == (200, kind)
            assert answer.headers["Cache-Control"] == "no-cache"

    def test_a_directory_without_its_slash_is_sent_there(self, site: Site) -> None:
        directory = tree(site, {"a b:c/x.txt": b"one"})
        answer = site.get(f"{directory}a b:c?x=1")
        assert answer.status_code == 301
        assert answer.headers["Location"] == "./a%20b%3Ac/?x=1"

    def test_a_file_with_a_slash_is_nothing(self, site: Site) -> None:
        directory = tree(site, {"x.txt": b"one"})
        assert site.get(f"{directory}x.txt/").status_code == 404

    def test_links_are_relative_and_lead_to_every_entry(self, site: Site) -> None:
        names = {EVIL: b"evil", "a b.txt": b"b", "日本語.txt": b"j", "sub/x": b"x", "cc:d": b"c"}
        directory = tree(site, names)
        page = site.get(directory).get_data().decode()
        links = Links(page).found
        assert [unquote(link) for link in links] == sorted([*names.keys() - {"sub/x"}, "sub/"])
        assert not [link for link in links if set(link) & set(":\"'<> ?#&")]
        for link in links:
            assert site.get(directory + link).status_code == 200
        assert site.get(directory + links[0]).get_data() == names[unquote(links[0])]

    def test_names_made_of_html_are_shown_as_text(self, site: Site) -> None:
        directory = tree(site, {f"{EVIL}/{EVIL}": b"evil"})
        for path in (directory, f"{directory}{Links(site.get(directory).text).found[0]}"):
            page = site.get(path).get_data().decode()
            assert "<img" not in page
            assert "&lt;img" in page

    def test_json_tells_what_is_known(self, site: Site) -> None:
        directory = tree(site, {"sub/x": b"x", "a.txt": b"hello"}, Username="bob")
        answer = json.loads(site.get(f"{directory}?json").get_data())
        assert answer["path"] == directory.strip("/")
        file, sub = answer["entries"]
        assert file == {
            "name": "a.txt",
            "kind": "file",
            "size": 5,
            "media_type": "text/plain",
            "digest": f"sha256:{hashlib.sha256(b'hello').hexdigest()}",
            "modified": "2023-11-14T22:13:20+00:00",
            "shows": None,
        }
        assert (sub["name"], sub["kind"], sub["size"]) == ("sub", "directory", None)
        latest = json.loads(site.get("/replica/user/bob/?json").get_data())["entries"][-1]
        assert latest["shows"].startswith("results.2")

    def test_json_comes_in_pages(self, site: Site) -> None:
        names = [f"{number:02}&é.txt" for number in range(5)]
        directory = tree(site, dict.fromkeys(names, b"x"))
        found, query, pages = [], "?json&limit=2", 0
        while query:
            answer = site.get(directory + query)
            page = json.loads(answer.get_data())
            found += [entry["name"] for entry in page["entries"]]
            query, pages = page["next"], pages + 1
            assert answer.headers.get("Link") == (f'<{query}>; rel="next"' if query else None)
        assert (found, pages) == (names, 3)

    @pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1e3", "9" * 20])
    def test_a_limit_that_is_none_is_refused(self, site: Site, limit: str) -> None:
        assert site.get(f"/archive/?json&limit={limit}").status_code == 400

    def test_names_come_one_a_line(self, site: Site) -> None:
        directory = tree(site, {"sub/x": b"x", "a.txt": b"hello"})
        assert site.get(f"{directory}?simple").get_data() == b"a.txt\nsub/\n"

    def test_head_says_what_get_says(self, site: Site) -> None:
        directory = tree(site, {"sub/x": b"x", "a.txt": b"hello"})
        for query in ("", "?json", "?simple", "?zip", "?tar", "SHA256SUMS", "a.txt"):
            get, head = site.get(directory + query), site.get(directory + query, "HEAD")
            assert dict(head.headers) == dict(get.headers)
            assert head.get_data() == b""

    def test_the_memory_backend_answers_alike(self, new_site: NewSite) -> None:
        site = new_site(in_memory=True)
        directory = tree(site, {"sub/x": b"x", "a.txt": b"hello"}, Username="bob")
        assert site.get(f"{directory}?simple").get_data() == b"a.txt\nsub/\n"
        assert site.get("/replica/user/bob/results.latest/sub/x").get_data() == b"x"


MEMBERS = {"a.txt": b"hello", "sub/日本語.bin": bytes(1000), "sub/empty.txt": b""}


class TestPacked:
    def test_a_zip_holds_the_tree_in_a_directory_of_its_name(self, site: Site) -> None:
        answer = site.get(f"{tree(site, MEMBERS)}?zip")
        assert answer.headers["Content-Disposition"] == "attachment; filename=results.zip"
        with zipfile.ZipFile(BytesIO(answer.get_data())) as file:
            assert file.testzip() is None
            found = {name: file.read(name) for name in file.namelist()}
        assert found == {f"results/{name}": one for name, one in MEMBERS.items()}

    def test_modes_and_empty_directories_are_packed(self, site: Site) -> None:
        packed = zip_file(ZipEntry("run", b"#!", mode=0o100755), ZipEntry("none/", mode=0o040755))
        path = site.upload(packed, "x.zip")["path"]["archive"]
        with zipfile.ZipFile(BytesIO(site.get(f"/{path}?zip").get_data())) as file:
            modes = {one.filename: one.external_attr >> 16 for one in file.infolist()}
        assert modes == {"x/none/": 0o040755, "x/run": 0o100755}
        with tarfile.open(fileobj=BytesIO(site.get(f"/{path}?tar").get_data())) as file:
            assert {one.name: one.mode for one in file} == {"x/none": 0o755, "x/run": 0o755}

    def test_a_tar_holds_the_same(self, site: Site) -> None:
        answer = site.get(f"{tree(site, MEMBERS)}?tar")
        with tarfile.open(fileobj=BytesIO(answer.get_data())) as file:
            contents = {one.name: file.extractfile(one) for one in file}
            found = {name: reader.read() for name, reader in contents.items() if reader}
        assert found == {f"results/{name}": one for name, one in MEMBERS.items()}

    def test_checksums_are_of_all_that_is_below(self, site: Site) -> None:
        lines = site.get(f"{tree(site, MEMBERS)}SHA256SUMS").get_data().decode()
        assert lines == "".join(
            f"{hashlib.sha256(one).hexdigest()}  {name}\n" for name, one in sorted(MEMBERS.items())
        )

    def test_a_real_member_of_that_name_wins(self, site: Site) -> None:
        directory = tree(site, {"SHA256SUMS": b"theirs", "sub/x": b"x"})
        assert site.get(f"{directory}SHA256SUMS").get_data() == b"theirs"
        assert site.get(f"{directory}sub/SHA256SUMS").get_data().endswith(b"  x\n")
        assert site.get(f"{directory}SHA256SUMS/").status_code == 404
        assert site.get(f"{directory}none/SHA256SUMS").status_code == 404
        assert site.get(f"{directory}sub/x/SHA256SUMS").status_code == 404

    def test_latest_is_not_packed_twice_but_can_be_packed(self, site: Site) -> None:
        tree(site, {"x.txt": b"one"}, Username="bob")
        lines = site.get("/replica/user/bob/SHA256SUMS").get_data().splitlines()
        assert len(lines) == 1
        latest = site.get("/replica/user/bob/results.latest/SHA256SUMS").get_data()
        assert latest.endswith(b"  x.txt\n")
        with zipfile.ZipFile(
            BytesIO(site.get("/replica/user/bob/results.latest?zip").get_data())
        ) as file:
            assert file.namelist() == ["results.latest/x.txt"]

    def test_files_of_others_are_in_the_tar_only(self, site: Site) -> None:
        (site.root / "replica" / "README.md").write_text("# Ours")
        assert site.get("/replica/SHA256SUMS").get_data() == b""
        with tarfile.open(fileobj=BytesIO(site.get("/replica/?tar").get_data())) as file:
            assert file.getnames() == ["replica/README.md"]

    def test_too_many_files_for_a_zip_are_refused(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("httpbucket.services.pack.MOST_ZIP_MEMBERS", 2)
        answer = site.get(f"{tree(site, MEMBERS)}?zip")
        assert answer.status_code == 422
        assert json.loads(answer.get_data())["problem"] == "too-many-files"


class TestPaths:
    @pytest.mark.parametrize("shelf", ["archive", "replica"])
    @pytest.mark.parametrize(
        "path",
        [
            "../private/index.sqlite3",
            "../../etc/passwd",
            "x/../../private/index.sqlite3",
            "%2e%2e/private/index.sqlite3",
            "%2e%2e%2fprivate%2findex.sqlite3",
            "..%2fprivate/index.sqlite3",
            "..%5cprivate",
            "%252e%252e/private/index.sqlite3",
            "%252e%252e%252fprivate",
            "..;/private/index.sqlite3",
            "%c0%ae%c0%ae/private/index.sqlite3",
            "%uff0e%uff0e/private",
            "x%00.txt",
            "%00",
            "./bucket-layout",
            "../bucket-layout",
            "../blob",
            "x" * 300,
            "x/" * 250,
            "caf%e9",
            "%ff%fe",
            "evil/secret",
            "evil/",
            "evil",
            "evil.latest.txt",
        ],
    )
    def test_nothing_outside_is_ever_shown(self, site: Site, shelf: str, path: str) -> None:
        (site.root / "private" / "secret").write_text("secret")
        (site.root / shelf / "evil").symlink_to("../private")
        (site.root / shelf / "evil.latest.txt").symlink_to("../private/secret")
        for query in ("", "?json", "?zip", "/SHA256SUMS"):
            answer = site.get(f"/{shelf}/{path}{query}")
            assert answer.status_code in {400, 404}, answer.get_data()
            assert str(site.root).encode() not in answer.get_data()
        for page in ("?simple", "?tar"):
            assert b"evil" not in site.get(f"/{shelf}/{page}").get_data()

    def test_slashes_at_the_start_stay_below_the_shelf(self, site: Site) -> None:
        answer = site.get("/archive/%2fetc%2fpasswd")
        assert answer.headers["Location"] == "/archive/etc/passwd"

    @pytest.mark.parametrize("path", ["/private/", "/private/index.sqlite3", "/bucket-layout"])
    def test_other_directories_have_no_route(self, site: Site, path: str) -> None:
        assert site.get(path).status_code == 404
