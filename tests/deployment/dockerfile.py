"""The Dockerfile, read as far as tests ask: its stages, and what each sets."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTAINER_FILES = ROOT / "assets" / "docker"


@dataclass
class Stage:
    """The instructions of one FROM, in their order."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """The arguments of every instruction of this name."""
        return [arguments for given, arguments in self.instructions if given == name]

    def only(self, name: str) -> str:
        """The arguments of the one instruction of this name."""
        (arguments,) = self.all(name)
        return arguments

    def command(self, name: str) -> list[str]:
        """ENTRYPOINT, CMD or HEALTHCHECK in exec form. Raises ValueError for a shell's line."""
        command: list[str] = json.loads(self.only(name).partition("CMD ")[2] or self.only(name))
        return command

    @property
    def environ(self) -> dict[str, str]:
        pairs = (pair for line in self.all("ENV") for pair in shlex.split(line))
        return dict(pair.split("=", 1) for pair in pairs)


def read_stages() -> list[Stage]:
    """The stages, the image's last."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    text = re.sub(r"^#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, arguments = line.partition(" ")
        if name == "FROM":
            stages.append(Stage(arguments.split()[0]))
        elif stages:
            stages[-1].instructions.append((name, arguments.strip()))
    return stages


BUILD, IMAGE = read_stages()


def on_this_machine(command: list[str], python: str) -> list[str]:
    """A command of the image with our Python and our files in the place of the image's."""
    files = "/opt/http-bucket/container/"
    here = [part.replace(files, f"{CONTAINER_FILES}/") for part in command]
    return [python if part == "python" else part for part in here]
