"""Writes the two lock files anew from pyproject.toml: ``make lock``."""

import subprocess
import sys

COMPILE = (
    *(sys.executable, "-m", "piptools", "compile", "-q", "--upgrade", "--strip-extras"),
    *("--generate-hashes", "--no-header", "--annotation-style=line", "--allow-unsafe"),
    *("--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"),
)
RUNTIME, DEVELOPMENT = "assets/requirements.txt", "requirements-dev.lock"

subprocess.run([sys.executable, "-m", "pip", "install", "-q", "pip-tools"], check=True)
subprocess.run([*COMPILE, "-o", RUNTIME, "pyproject.toml"], check=True)
subprocess.run(
    [*COMPILE, "--extra", "dev", "-c", RUNTIME, "-o", DEVELOPMENT, "pyproject.toml"], check=True
)
