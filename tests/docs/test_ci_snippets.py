"""The snippets for CI systems do what they say: their commands are run as the systems run them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.conftest import StartServer, fetch
from tests.docs.pages import DOCS, blocks
from tests.live.server import LiveServer
from tests.live.wire import request_head
from tests.tools import require_tool

PAGE = DOCS / "how-to" / "upload-from-ci-systems.md"
SHOWN = "http://bucket.example:5000"
RESULTS = b"<results><failed/></results>\n"
_OUTPUT = re.compile(r"\$\{\{ steps\.(\w+)\.outputs\.(\w+) \}\}")


class Workplace:
    """A directory with tests that fail, as a job has it, and a server to upload to."""

    def __init__(self, directory: Path, server: LiveServer) -> None:
        self.directory = directory
        self.server = server
        tests = directory / "run-tests"
        tests.write_bytes(
            b"#!/bin/sh\necho 1 failed\nprintf '%s\\n' '"
            + RESULTS.strip()
            + b"' > results.xml\nexit 1\n"
        )
        tests.chmod(0o755)

    def run(self, shell: Sequence[str], script: str, **variables: str) -> int:
        """Run a script with nothing in its environment but these variables; the exit status."""
        path = {"PATH": os.environ["PATH"]} | variables
        ended = subprocess.run(
            [require_tool(shell[0]), *shell[1:], self.addressed(script)],
            cwd=self.directory,
            env={name: self.addressed(text) for name, text in path.items()},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        print(script, ended.stdout, ended.stderr, sep="\n")
        return ended.returncode

    def addressed(self, text: str) -> str:
        """``text`` with the address of the server in place of the one shown."""
        return text.replace(SHOWN, self.server.url)

    def kept(self, path: str) -> list[bytes]:
        """The contents of the uploads that hold this path."""
        archive = self.server.archive / "archive"
        return [file.read_bytes() for file in archive.glob(f"*/*/*/*/{path}")]

    def busybox(self) -> str:
        """A ``PATH`` on which everything that BusyBox has is BusyBox's."""
        tools = self.directory / "busybox"
        tools.mkdir()
        for name in ("sh", "wget", "cat", "printf"):
            (tools / name).symlink_to(require_tool("busybox"))
        return str(tools)


@pytest.fixture
def work(start_server: StartServer, tmp_path: Path) -> Workplace:
    directory = tmp_path / "workplace"
    directory.mkdir()
    return Workplace(directory, start_server(REPLICATE_0="user/${USERNAME}/${TOPIC}"))


def snippet(heading: str, number: int = 0) -> str:
    """The block below a heading."""
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [block.text for block in blocks(PAGE) if block.text in section][number]


def variables(lines: str) -> Mapping[str, str]:
    return dict(line.split("=", 1) for line in lines.splitlines())


def test_github_actions(work: Workplace) -> None:
    (job,) = yaml.safe_load(snippet("GitHub Actions"))["jobs"].values()
    output, summary = work.directory / "output", work.directory / "summary"
    said = {
        "GITHUB_RUN_ID": "7",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_JOB": "test",
        "GITHUB_ACTOR": "bob",
        "GITHUB_WORKFLOW": "Nightly; build",
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    statuses = []
    for step in job["steps"]:
        env = {
            name: _OUTPUT.sub(lambda found: variables(output.read_text())[found[2]], text)
            for name, text in step.get("env", {}).items()
        }
        # What runs a step's lines that names no ``shell`` (workflow syntax, ``steps[*].shell``).
        statuses.append(work.run(["bash", "-e", "-c"], step["run"], **said, **job["env"], **env))
    assert statuses == [1, 0, 0]
    assert work.kept("results.xml") == [RESULTS]
    kept = variables(output.read_text())
    assert fetch(kept["BUCKET_URL"]) == RESULTS
    assert summary.read_text() == f"[Results]({kept['BUCKET_PAGE']})\n"
    assert kept["BUCKET_UPLOAD"] in fetch(kept["BUCKET_PAGE"]).decode()
    assert list((work.server.archive / "replica/user/bob").iterdir())


def test_gitlab_ci(work: Workplace) -> None:
    (job,) = yaml.safe_load(snippet("GitLab CI")).values()
    said = {
        "PATH": work.busybox(),
        "CI_PROJECT_NAME": "demo",
        "CI_PROJECT_PATH": "group/demo",
        "CI_JOB_ID": "7",
        **job["variables"],
    }
    shell = ["busybox", "sh", "-e", "-c"]
    assert work.run(shell, "\n".join(job["script"]), **said) == 1
    assert work.run(shell, "\n".join(job["after_script"]), **said) == 0
    assert work.kept("group/demo/results.xml") == [RESULTS]
    report = work.directory / job["artifacts"]["reports"]["dotenv"]
    assert job["environment"]["url"].removeprefix("$") in variables(report.read_text())
    assert fetch(variables(report.read_text())["BUCKET_URL"]) == RESULTS


def test_jenkins(work: Workplace) -> None:
    text = snippet("Jenkins")
    bucket = re.findall(r"BUCKET = '(.*)'", text)[0]
    said = {"BUCKET": bucket, "BUILD_TAG": "jenkins-demo-7", "JOB_NAME": "team/demo"}
    scripts = re.findall(r"^ *sh '(.*)'$", text, re.MULTILINE)
    # The Jenkins step runs ``sh -xe``.
    assert [work.run(["sh", "-xe", "-c"], script, **said) for script in scripts] == [1, 0]
    assert work.kept("team/demo/results.xml") == [RESULTS]
    assert text.count("{") == text.count("}")


def test_docker_run(work: Workplace) -> None:
    words = shlex.split(snippet("docker run"))
    assert words[words.index("alpine") + 1 : -1] == ["sh", "-c"]
    assert work.run(["busybox", "sh", "-c"], words[-1], PATH=work.busybox()) == 0
    assert work.kept("test.log") == [b"1 failed\n"]


def test_dockerfile(work: Workplace) -> None:
    *_, line = snippet("Dockerfile").split("\nRUN ")
    # A failed test fails the build, after its log was kept.
    assert work.run(["sh", "-c"], line) == 1
    assert work.kept("test.log") == [b"1 failed\n"]
    unreachable = line.replace(SHOWN, "http://127.0.0.1:9")
    assert work.run(["sh", "-c"], unreachable) not in {0, 1}


def test_cron(work: Workplace) -> None:
    line = snippet("cron").strip()
    *fields, command = line.split(" ", 5)
    assert fields == ["15", "3", "*", "*", "*"]
    assert not re.search(r"(?<!\\)%", command)
    command = command.replace("\\%", "%").replace("/tmp/", f"{work.directory}/")
    (work.directory / "srv/reports").mkdir(parents=True)
    (work.directory / "srv/reports/a.txt").write_bytes(b"a")
    command = command.replace("/srv", str(work.directory / "srv"))
    assert work.run(["sh", "-c"], command) == 0
    assert work.kept("reports-????-??-??/reports/a.txt") == [b"a"]


class TestPowerShell:
    """The requests as .NET makes them; there is no PowerShell here to make them itself."""

    def send(
        self, work: Workplace, head: Mapping[str, str], method: str, path: str, body: bytes
    ) -> Any:
        with work.server.connect() as wire:
            wire.send(request_head(method, path, head))
            if "Expect" in head:
                assert wire.receive_line() == b"HTTP/1.1 100 Continue"
                assert wire.receive_line() == b""
            wire.send(body)
            answer = wire.receive_answer()
        assert answer.status == 200, answer
        return answer.json

    def test_a_file_by_put(self, work: Workplace) -> None:
        text = snippet("PowerShell")
        kind = re.findall(r"-ContentType (\S+)", text)[0]
        head = {
            "User-Agent": "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1",
            "Content-Type": kind,
            "Expect": "100-continue",
            "Content-Length": str(len(RESULTS)),
        }
        path = re.findall(rf"{SHOWN}(\S+)", text)[0]
        receipt = self.send(work, head, "PUT", path, RESULTS)
        assert work.kept("results.xml") == [RESULTS]
        # The snippet's ``$kept.upload.page``.
        assert fetch(f"{work.server.url}/uploads/{receipt['upload']['id']}")
        assert receipt["upload"]["page"].endswith(f"/uploads/{receipt['upload']['id']}")

    def test_a_form(self, work: Workplace) -> None:
        path = re.findall(rf"{SHOWN}(\S+)", snippet("PowerShell", 1))[0]
        # .NET quotes the boundary, leaves names bare, and says the filename twice.
        body = (
            b"--5f8e\r\nContent-Disposition: form-data; name=file; filename=results.xml; "
            b"filename*=utf-8''results.xml\r\nContent-Type: application/octet-stream\r\n\r\n"
            + RESULTS
            + b"\r\n--5f8e--\r\n"
        )
        head = {
            "User-Agent": "Mozilla/5.0 (Linux; Debian GNU/Linux 12) PowerShell/7.4.6",
            "Content-Type": 'multipart/form-data; boundary="5f8e"',
            "Content-Length": str(len(body)),
        }
        self.send(work, head, "POST", path, body)
        assert work.kept("results.xml") == [RESULTS]
