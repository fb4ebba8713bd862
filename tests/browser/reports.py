"""Reports as CI jobs upload them: coverage.py's own, and one that tries whatever a page can."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.builders import ZipEntry, tar, tar_member, zip_file

_MEASURED = "def used():\n    return 1\n\n\ndef unused():\n    return 2\n\n\nused()\n"

#: Says on the page what came of each attempt, as ``name: outcome``; the last one is ``end``.
PROBE = """
const say = (name, outcome) => {
  const line = document.createElement("p");
  line.textContent = `${name}: ${outcome}`;
  document.querySelector("#outcomes").append(line);
};
const attempt = async (name, act) => {
  try { say(name, await act()); } catch (error) { say(name, error.name); }
};
const status = async (path, options) => (await fetch(path, options)).status;
const form = () => {
  const body = new FormData();
  body.append("file", new File(["evil"], "evil.txt"));
  return body;
};
const worker = (address) => new Promise((resolve, reject) => {
  const started = new Worker(address);
  started.onmessage = (event) => resolve(event.data);
  started.onerror = () => reject(new Error());
});

(async () => {
  await attempt("origin", () => self.origin);
  await attempt("cookie", () => document.cookie);
  await attempt("localStorage", () => localStorage.length);
  await attempt("data", async () => (await (await fetch("data/data.json")).json()).answer);
  await attempt("range", async () => {
    const part = await fetch("data/trace.zip", { headers: { Range: "bytes=0-1" } });
    return `${part.status} ${await part.text()}`;
  });
  await attempt("blob worker", () => {
    const source = new Blob(["postMessage(6 * 7)"], { type: "text/javascript" });
    return worker(URL.createObjectURL(source));
  });
  const others = ["/config", "/uploads", "/upload", "/", "/archive/", "./", "./?json", "./?zip",
    "./SHA256SUMS", "./index.html?view"];
  for (const path of others) await attempt(`fetch ${path}`, () => status(path));
  const post = { method: "POST", body: form() };
  await attempt("post", () => status("/upload", post));
  const resumable = { "Tus-Resumable": "1.0.0", "Upload-Length": "4" };
  await attempt("tus", () => status("/tus/", { method: "POST", headers: resumable }));
  await attempt("blind post", async () => {
    const answer = await fetch("/upload", { ...post, mode: "no-cors" });
    return answer.type;
  });
  await attempt("opener", () => opener.document.title);
  await attempt("parent", () => parent.document === document ? "alone" : parent.document.title);
  await attempt("popup", async () => {
    const popup = open("/config");
    // Until it has left the empty page that it began with, it is still ours.
    for (let tries = 0; tries < 500 && !popup.document.body?.textContent; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return popup.document.body.textContent;
  });
  say("end", "");
})();
"""


def coverage_report(place: Path) -> bytes:
    """A ``.tgz`` of the HTML report that coverage.py makes: ``htmlcov/index.html`` and so on."""
    (place / "measured.py").write_text(_MEASURED)
    for arguments in (["run", "measured.py"], ["html", "--quiet"]):
        command = [sys.executable, "-m", "coverage", *arguments]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
    return packed({f"htmlcov/{path.name}": path.read_bytes() for path in _files(place)})


def packed(files: Mapping[str, bytes]) -> bytes:
    """A ``.tgz`` of files."""
    return gzip.compress(tar(*(tar_member(name, content) for name, content in files.items())))


def trace_like_report() -> bytes:
    """A zip of a page that loads its data, modules and frames by relative addresses."""
    page = (
        "<!doctype html><meta charset=utf-8><title>trace</title><div id=outcomes></div>"
        '<script src="probe.js" defer></script><script type="module" src="module.js"></script>'
        '<iframe src="snapshot.html"></iframe><a href="sub/next.html">Next</a>'
    )
    files = {
        "index.html": page,
        "probe.js": PROBE,
        "module.js": 'document.title = "the module ran";',
        "snapshot.html": "<p>a snapshot</p>",
        "sub/next.html": '<title>next</title><a href="../index.html">Back</a>',
        "data/data.json": '{"answer": 42}',
    }
    entries = [ZipEntry(name, text.encode()) for name, text in files.items()]
    return zip_file(*entries, ZipEntry("data/trace.zip", zip_file(ZipEntry("a", b"a"))))


def _files(place: Path) -> list[Path]:
    return [path for path in (place / "htmlcov").iterdir() if path.is_file()]
