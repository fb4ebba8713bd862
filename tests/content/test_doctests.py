"""The examples in the docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from httpbucket import content

MODULES = [module.name for module in pkgutil.iter_modules(content.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name: str) -> None:
    module = importlib.import_module(f"{content.__name__}.{name}")
    assert doctest.testmod(module).failed == 0
