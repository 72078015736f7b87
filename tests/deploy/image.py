"""Follows deploy/Dockerfile step by step, as an engine would, in directories instead of layers.

Its base is this machine's Python in the place of the image's. `python -m tests.deploy.image` says
how large each package is.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.dockerfile import (
    DOCKERFILE,
    Instruction,
    Stage,
    argument,
    expand,
    read_stages,
)
from tests.deploy.root import Root, User, python_root

CONTEXT = DOCKERFILE.parent.parent
_BUILDERS = ("PIP_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Variables of this machine that steps see: how it reaches its registries."""


@dataclass(slots=True)
class Image:
    """A stage that was built, and what it says of itself."""

    root: Root
    environment: dict[str, str]
    stage: Stage
    directory: str = "/"
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        return [*self.stage.last("ENTRYPOINT").words, *self.stage.last("CMD").words]

    @property
    def healthcheck(self) -> list[str]:
        words = self.stage.last("HEALTHCHECK").rest.removeprefix("CMD ")
        return Instruction("CMD", {}, words).words

    @property
    def user(self) -> User:
        uid, gid = self.stage.last("USER").rest.split(":")
        return User(int(uid), int(gid))


def build(directory: Path, arguments: Mapping[str, str] | None = None) -> Image:
    """The last stage of the Dockerfile, built in `directory`. Raises `RuntimeError` at a step."""
    built: dict[str, Image] = {}
    given = arguments or {}
    base = python_root(directory / "base")
    for number, stage in enumerate(read_stages(DOCKERFILE.read_text(), given)):
        path = shutil.copytree(base.path, directory / f"stage-{number}", symlinks=True)
        image = Image(Root(path), {"PATH": "/usr/local/bin:/usr/bin:/bin"}, stage)
        for step in stage.instructions:
            _follow(step, image, built, given)
        built[stage.name] = image
    return image


def _follow(
    step: Instruction, image: Image, built: Mapping[str, Image], given: Mapping[str, str]
) -> None:
    known = {**image.arguments, **image.environment}
    match step.name:
        case "ARG":
            image.arguments |= argument(step, given)
        case "ENV":
            image.environment |= {k: expand(v, known) for k, v in step.pairs.items()}
        case "WORKDIR":
            image.directory = expand(step.rest, known)
            (image.root / image.directory).mkdir(parents=True, exist_ok=True)
        case "COPY":
            *sources, goal = expand(step.rest, known).split()
            origin = built[step.flags["from"]].root if "from" in step.flags else Root(CONTEXT)
            for source in sources:
                _copy(origin / source, image.root / str(Path(image.directory, goal)), goal)
        case "RUN":
            _run(step, image)


def _copy(source: Path, goal: Path, written: str) -> None:
    """As COPY does: what is in a directory, or a file into a directory or under a name."""
    if source.is_dir():
        shutil.copytree(source, goal, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        return
    into = goal / source.name if written.endswith("/") else goal
    into.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, into)


def _run(step: Instruction, image: Image) -> None:
    binds = {}
    if mount := step.flags.get("mount"):
        options = dict(option.split("=") for option in mount.split(","))
        assert options.keys() == {"type", "target"}
        assert options["type"] == "cache"
        kept = Path.home() / ".cache" / "qa-worker" / "image" / options["target"].lstrip("/")
        kept.mkdir(parents=True, exist_ok=True)
        binds[options["target"]] = kept
    outer = {k: v for k, v in os.environ.items() if k.upper().startswith(_BUILDERS)}
    environment = {**outer, **image.arguments, **image.environment, "HOME": "/root"}
    code, said = image.root.run(
        ["sh", "-c", step.rest], environment, directory=image.directory, binds=binds
    )
    if code:
        raise RuntimeError(f"{step.rest}\nended with {code}:\n{said}")


def sizes(image: Image) -> dict[str, int]:
    """Package directory to bytes, in what the image adds to its base; the largest first."""
    (packages,) = (image.root / "opt/qa-worker/lib").glob("python3*/site-packages")
    found = {path.name: _size(path) for path in packages.iterdir()}
    return dict(sorted(found.items(), key=lambda one: -one[1]))


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.lstat().st_size for one in files)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        its = sizes(build(Path(scratch), dict(word.split("=", 1) for word in sys.argv[1:])))
        for name, size in its.items():
            print(f"{size / 2**20:8.2f} MiB  {name}")
        print(f"{sum(its.values()) / 2**20:8.2f} MiB  in all")
