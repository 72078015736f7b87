"""Builds deploy/Dockerfile and runs the image, with podman.

The base image is a replacement that `.ci/tools` creates (`base-image`), so no image registry is
needed. `python -m tests.deploy.image` builds the image and prints the sizes of its packages.
"""

import json
import os
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.tools import CACHE, tool, tool_file

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFINED: tuple[str, ...] = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all")
CONFINED += ("--security-opt=no-new-privileges",)
"""Options of `podman run` that correspond to those of the pods in deploy/kubernetes."""

_BASE = "localhost/python:stand-in"
_TAG = "localhost/qa-worker:test"


@dataclass(frozen=True, slots=True)
class Image:
    """The built image. `config` has the Dockerfile's settings: User, Cmd, Labels, ..."""

    config: dict[str, Any]

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs another program than the image's in a new container with the options `CONFINED`."""
        options = ["run", "--rm", *CONFINED, f"--entrypoint={program}", _TAG]
        return podman(*options, *arguments, check=False)

    def start(self, name: str, environment: dict[str, str]) -> None:
        """Starts the image's command in the background."""
        variables = [f"--env={key}={value}" for key, value in environment.items()]
        podman("run", "--detach", f"--name={name}", *CONFINED, *variables, _TAG)


_STORE = CACHE / "images"
# podman refuses a path of more than 50 characters here, as the path of a home directory can be.
_STATE = Path(tempfile.gettempdir(), f"qa-worker-podman-{zlib.crc32(bytes(_STORE)):08x}")


def podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs podman with a separate store.

    If `check` is set, raises `RuntimeError` with podman's output when podman fails.
    """
    result = subprocess.run(
        [tool("podman"), f"--root={_STORE}", f"--runroot={_STATE}", *arguments],
        env={**os.environ, "CONTAINERS_CONF": str(Path(__file__).with_name("containers.conf"))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and result.returncode:
        raise RuntimeError(f"podman {' '.join(arguments)}:\n{result.stdout}{result.stderr}")
    return result


@cache
def build() -> Image:
    """Builds the image once. Raises `RuntimeError` if a step of the Dockerfile fails."""
    base = tool_file("python-image.tar")
    change = "--change=ENV PATH=/usr/local/bin:/usr/bin:/bin"
    if podman("image", "exists", _BASE, check=False).returncode or _older_than(base):
        podman("import", change, str(base), _BASE)
    options = ["--format=docker", f"--build-arg=PYTHON={_BASE}", f"--tag={_TAG}"]
    options += ["--volume=/etc/ssl/certs:/etc/ssl/certs:ro", f"--file={DEPLOY / 'Dockerfile'}"]
    podman("build", *options, str(DEPLOY.parent))
    # Removes layers of older builds; today's layers make the next build faster.
    podman("image", "prune", "--force", "--filter=until=24h")
    return Image(_inspect(_TAG)["Config"])


def _older_than(base: Path) -> bool:
    created = podman("image", "inspect", "--format={{.Created.Unix}}", _BASE).stdout
    return int(created) < base.stat().st_mtime


def _inspect(name: str) -> dict[str, Any]:
    (image,) = json.loads(podman("image", "inspect", name).stdout)
    return dict(image)


if __name__ == "__main__":
    image = build()
    script = "du -smc /opt/qa-worker/lib/python3*/site-packages/* | sort -rn"
    print("MiB\t(without the base image)")
    print(image.run("sh", "-c", script).stdout, end="")
