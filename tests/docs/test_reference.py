"""The reference holds what the code holds: settings, routes, problems, fields, verbs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from httpbucket.cli.main import main
from httpbucket.config import Settings
from httpbucket.domain.errors import BucketError
from httpbucket.services.product import Services
from httpbucket.web.app import create_app
from httpbucket.web.errors import HTTP_PROBLEMS, STATUSES
from tests.docs.pages import DOCS, README, ROOT, codes, name_of, reference, rows

SETTINGS_TABLES = (README, reference("configuration"))
_NONE = "–"


class Recording(dict[str, str]):
    """An environment that notes which variables it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None, /) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_the_reference_holds_every_setting_that_is_read_and_no_other() -> None:
    assert set(_defaults(reference("configuration"))) == _settings()


def test_the_readme_names_no_setting_that_there_is_not() -> None:
    assert set(_defaults(README)) - _settings() == set()


@pytest.mark.parametrize("page", SETTINGS_TABLES, ids=name_of)
def test_a_setting_without_a_value_is_as_if_it_had_the_default_of_the_table(page: Path) -> None:
    for name, default in _defaults(page).items():
        environ = {} if default == _NONE else {name: codes(default)[0]}
        assert Settings.from_environ(environ) == Settings.from_environ({}), name


def test_every_route_is_in_the_reference_with_its_methods() -> None:
    documented = [
        (codes(path)[0], method)
        for methods, path, *_ in rows(reference("http"))
        if path.startswith("`/")
        for method in methods.split(", ")
    ]
    assert sorted(documented) == sorted(_routes())


def test_every_problem_is_in_the_reference_with_its_code() -> None:
    documented = [
        (int(row[0]), codes(row[1])[0]) for row in rows(reference("http")) if row[0].isdigit()
    ]
    assert sorted(documented) == sorted(_problems())


def test_every_verb_and_flag_is_in_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    page = reference("command-line")
    documented = {*codes(page.read_text())}
    helped = _help(capsys)
    verbs = re.findall(r"^    ([a-z][a-z-]*) ", helped, re.MULTILINE)
    assert verbs
    for verb in verbs:
        assert f"\n## http-bucket {verb}\n" in page.read_text()
        helped += _help(capsys, verb)
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", helped)) <= documented


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
        *re.findall(r"^\S+(?===)", (ROOT / "assets/requirements.txt").read_text(), re.MULTILINE),
    ]
    names = {_canonical(re.split(r"[<>=~!\[ ]", requirement)[0]) for requirement in listed}
    page = DOCS / "explanation" / "dependencies.md"
    assert names <= {_canonical(name) for name in codes(page.read_text())}


def _canonical(name: str) -> str:
    """A distribution's name as all of its spellings are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_debian_package_that_tests_need_is_explained() -> None:
    lines = (ROOT / "tests/debian-packages.txt").read_text().splitlines()
    packages = {line.partition("#")[0].strip() for line in lines} - {""}
    page = DOCS / "explanation" / "dependencies.md"
    assert packages <= {*codes(page.read_text())}


def test_every_target_of_the_makefile_is_explained() -> None:
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = {f"make {target}" for line in phony for target in line.split()}
    assert targets <= {*codes((DOCS / "contributing.md").read_text())}


def test_the_map_has_every_package() -> None:
    package = ROOT / "assets/src/httpbucket"
    names = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    text = (DOCS / "explanation" / "architecture.md").read_text()
    assert {name for name in names if f" {name} " not in text} == set()


def _settings() -> set[str]:
    environ = Recording()
    Settings.from_environ(environ)
    return {re.sub(r"^REPLICATE_\d+", "REPLICATE_n", name) for name in environ.asked}


def _defaults(page: Path) -> dict[str, str]:
    return {codes(row[0])[0]: row[1] for row in rows(page) if len(row) == 3 and codes(row[0])}


def _routes() -> Iterator[tuple[str, str]]:
    unused: Any = None
    services = Services(**{field.name: unused for field in fields(Services)})
    app = create_app(Settings.from_environ({}), services)
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"OPTIONS"}:
            yield re.sub(r"<\w+:", "<", rule.rule), method


def _problems() -> Iterator[tuple[int, str]]:
    for kind in _subclasses(BucketError):
        status = next((STATUSES[base] for base in kind.__mro__ if base in STATUSES), None)
        if status is not None:
            yield int(status), kind.problem
    for status, problem in HTTP_PROBLEMS.items():
        yield int(status), problem


def _subclasses(kind: type[BucketError]) -> Iterator[type[BucketError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _help(capsys: pytest.CaptureFixture[str], *verb: str) -> str:
    with pytest.raises(SystemExit):
        main([*verb, "--help"])
    return capsys.readouterr().out
