"""Loading the container's programs, which belong to no package."""

from __future__ import annotations

import importlib.util
from types import ModuleType

from tests.deployment.dockerfile import CONTAINER_FILES


def load(name: str) -> ModuleType:
    """The program of this name under ``assets/docker``, as a module."""
    spec = importlib.util.spec_from_file_location(name, CONTAINER_FILES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
