"""Follows deploy/Dockerfile step by step, as an engine would, in directories instead of layers.

Its base is this machine's Python in the place of the image's, and pip finds its packages in a
directory, into which they were fetched before. `python -m tests.deploy.image` says
how large each package is.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
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
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "qa-worker", "image")
_WHEELS = "/wheels"


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
    base = _base()
    for number, stage in enumerate(read_stages(DOCKERFILE.read_text(), given)):
        root = Root(directory / f"stage-{number}")
        _copy_all(base, root.path)
        image = Image(root, {"PATH": "/usr/local/bin:/usr/bin:/bin"}, stage)
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
            *sources, written = expand(step.rest, known).split()
            goal = image.root / str(Path(image.directory, written))
            for source in sources:
                if "from" in step.flags:
                    _copy_all(built[step.flags["from"]].root / source, goal)
                else:
                    _copy(CONTEXT / source, goal, into=written.endswith("/"))
        case "RUN":
            _run(step, image)


def _copy(source: Path, goal: Path, *, into: bool) -> None:
    """From the context, less what .dockerignore names: what is in a directory, or a file."""
    if source.is_dir():
        shutil.copytree(source, goal, ignore=shutil.ignore_patterns("__pycache__"))
        return
    target = goal / source.name if into else goal
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _copy_all(source: Path, goal: Path) -> None:
    goal.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", goal], check=True)


def _run(step: Instruction, image: Image) -> None:
    binds = {}
    if "EXTRAS" in image.arguments:
        binds[_WHEELS] = _wheels(image.arguments["EXTRAS"])
    if mount := step.flags.get("mount"):
        options = dict(option.split("=") for option in mount.split(","))
        assert options.keys() == {"type", "target"}
        assert options["type"] == "cache"
        binds[options["target"]] = _CACHE / "kept"
        binds[options["target"]].mkdir(exist_ok=True)
    registry = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": _WHEELS}
    environment = {"HOME": "/root", **registry, **image.arguments, **image.environment}
    code, said = image.root.run(
        ["sh", "-c", step.rest], environment, directory=image.directory, binds=binds
    )
    if code:
        raise RuntimeError(f"{step.rest}\nended with {code}:\n{said}")


def _base() -> Path:
    """Made once for each interpreter."""
    base = _CACHE / f"base-{hashlib.sha256(sys.version.encode()).hexdigest()[:16]}"
    if not base.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            python_root(Path(scratch, "base"))
            Path(scratch, "base").rename(base)
    return base


def _wheels(extras: str) -> Path:
    """What pip would fetch, fetched once for as long as the same is asked for."""
    project = tomllib.loads((CONTEXT / "pyproject.toml").read_text())["project"]
    wanted = [project["dependencies"], project["optional-dependencies"], extras, sys.version]
    mark = hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]
    wheels = _CACHE / f"wheels-{mark}"
    if not (wheels.exists() and _as_pinned(wheels)):
        for old in _CACHE.glob("wheels-*"):
            shutil.rmtree(old)
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            (fetched := Path(scratch, "wheels")).mkdir()
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary", ":all:"]
            pip += ["--no-binary", "qa-worker", "--constraint", "deploy/constraints.txt"]
            pip += ["--dest", str(fetched), "setuptools>=77", f".[{extras}]" if extras else "."]
            subprocess.run(pip, cwd=CONTEXT, check=True)
            fetched.rename(wheels)
    return wheels


def _as_pinned(wheels: Path) -> bool:
    """Whether the versions are still those of deploy/constraints.txt."""
    pinned = pins()
    found = (path.name.split("-")[:2] for path in wheels.glob("*.whl"))
    return all(pinned.get(normal(name), version) == version for name, version in found)


def pins() -> dict[str, str]:
    """Package to version."""
    lines = (CONTEXT / "deploy/constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {normal(name): version for name, version in pairs}


def normal(name: str) -> str:
    """A package's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


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
