"""Imports run one way, as the map in ``httpbucket`` and the design say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import httpbucket

ROOT = Path(httpbucket.__file__).parent

#: Package or module of the top level → what it may import of the others.
ARROWS = {
    "server": {"web", "wiring", "config", "domain"},
    "web": {"services", "config", "domain"},
    "cli": {"server", "wiring", "config", "domain"},
    "wiring": {"services", "storage", "content", "config", "domain"},
    "services": {"storage.base", "content", "domain"},
    "storage": {"domain"},
    "content": {"domain"},
    "config": {"domain"},
    "domain": set(),
    "__main__": {"cli"},
    "__init__": set(),
}

#: Distribution → the only packages that import it.
AT_HOME = {
    "flask": {"web"},
    "werkzeug": {"web"},
    "itsdangerous": {"services"},
    "jinja2": {"web"},
    "gunicorn": {"server"},
    "magic": {"content"},
    "pylibmagic": {"content"},
    "sqlite3": {"storage"},
    "click": {"cli"},
}

PURE = {
    *(
        "__future__",
        "array",
        "base64",
        "binascii",
        "bisect",
        "codecs",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
    ),
    *("enum", "fnmatch", "functools", "hashlib", "itertools", "json", "math", "operator", "re"),
    *("string", "struct", "typing", "unicodedata", "zlib", "posixpath"),
}

FORBIDDEN_NAMES = {
    *("util", "utils", "helper", "helpers", "misc", "common", "manager", "handler", "processor"),
    *("data", "info", "obj", "tmp", "temp"),
}

MODULES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """The full name of every module that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            submodules = [f"{module}.{alias.name}" for alias in node.names]
            yield from (name if is_module(name) else module for name in submodules)


def is_module(name: str) -> bool:
    path = ROOT.parent / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def part_of(path: Path) -> str:
    """The package or module of the top level to which a file belongs."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_allowed(part: str, imported: str) -> bool:
    inner = imported.removeprefix("httpbucket").lstrip(".")
    if not inner or inner.split(".")[0] == part:
        return True
    return any(inner == goal or inner.startswith(f"{goal}.") for goal in ARROWS[part])


def test_every_package_is_on_the_map() -> None:
    assert {part_of(path) for path in MODULES} == set(ARROWS)
    lines = (httpbucket.__doc__ or "").splitlines()
    described = {line.split()[0] for line in lines if line.startswith("    ") and line.split()}
    assert described == set(ARROWS) - {"__main__", "__init__"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    ours = [name for name in imports(path) if name.split(".")[0] == "httpbucket"]
    assert [name for name in ours if not is_allowed(part_of(path), name)] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_library_is_known_to_one_package(path: Path) -> None:
    imported = {name.split(".")[0] for name in imports(path)}
    strangers = {
        name for name in imported if part_of(path) not in AT_HOME.get(name, {part_of(path)})
    }
    assert strangers == set()


@pytest.mark.parametrize("path", sorted((ROOT / "domain").glob("*.py")), ids=name_of)
def test_the_domain_does_no_input_and_no_output(path: Path) -> None:
    theirs = {name.split(".")[0] for name in imports(path)} - {"httpbucket"}
    assert theirs - PURE == set()


def test_the_package_itself_imports_nothing() -> None:
    assert list(imports(ROOT / "__init__.py")) == []


@pytest.mark.parametrize("path", sorted((ROOT / "storage").glob("*.py")), ids=name_of)
def test_backends_do_not_know_each_other(path: Path) -> None:
    """Except for `storage.base`, and the parts that several backends are made of."""
    backend = path.stem.partition("_")[0]
    known = tuple(f"httpbucket.storage.{part}" for part in ("base", "trees", f"{backend}_"))
    siblings = {name for name in imports(path) if name.startswith("httpbucket.storage.")}
    siblings -= {f"httpbucket.storage.{backend}"}
    assert {name for name in siblings if not name.startswith(known)} == set()


@pytest.mark.parametrize(
    "path",
    sorted(path for part in ("local", "memory") for path in (ROOT / "storage" / part).glob("*.py")),
    ids=name_of,
)
def test_a_backend_knows_the_ports_and_itself(path: Path) -> None:
    known = ("httpbucket.storage.base", f"httpbucket.storage.{path.parent.name}")
    siblings = {name for name in imports(path) if name.startswith("httpbucket.storage.")}
    assert [name for name in siblings if not name.startswith(known)] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_module_class_or_function_has_a_name_that_says_nothing(path: Path) -> None:
    names = {path.stem} | {
        node.name.strip("_").lower()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }
    assert names & FORBIDDEN_NAMES == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_there_are_no_cycles() -> None:
    graph = {dotted(path): {*filter(is_module, imports(path))} for path in MODULES}
    finished: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"{' → '.join(above)} → {module}"
        if module not in finished:
            for imported in graph.get(module, set()):
                visit(imported, (*above, module))
            finished.add(module)

    for module in graph:
        visit(module, ())


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")
