"""The examples in the docstrings hold."""

import doctest
import importlib
import pkgutil

import pytest

import httpbucket.domain


@pytest.mark.parametrize(
    "name", [one.name for one in pkgutil.iter_modules(httpbucket.domain.__path__)]
)
def test_examples_in_the_docstrings_of_the_domain_hold(name: str) -> None:
    module = importlib.import_module(f"httpbucket.domain.{name}")
    assert doctest.testmod(module).failed == 0
