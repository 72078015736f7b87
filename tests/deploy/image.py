"""deploy/Dockerfile, built and run by podman.

The base image is the stand-in that `.ci/tools` makes (`base-image`), so no registry of images is
needed. `python -m tests.deploy.image` builds the image and prints the size of each package in it.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.tools import CACHE, tool, tool_file

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFINED: tuple[str, ...] = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all")
CONFINED += ("--security-opt=no-new-privileges",)
"""Options of `podman run` that the pods of deploy/kubernetes have, too."""

_BASE = "localhost/python:stand-in"
_TAG = "localhost/qa-worker:test"


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was built. `config` is what the Dockerfile sets: User, Cmd, Labels, ..."""

    config: dict[str, Any]

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another program than the image's own, in a new container, confined as a pod is."""
        options = ["run", "--rm", *CONFINED, f"--entrypoint={program}", _TAG]
        return podman(*options, *arguments, check=False)

    def start(self, name: str, environment: dict[str, str]) -> None:
        """The image's own command, in the background."""
        variables = [f"--env={key}={value}" for key, value in environment.items()]
        podman("run", "--detach", f"--name={name}", *CONFINED, *variables, _TAG)


def podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """With a store of its own. Raises `RuntimeError` with what podman printed, if `check`."""
    store = CACHE / "podman"
    done = subprocess.run(
        [tool("podman"), f"--root={store}/storage", f"--runroot={store}/run", *arguments],
        env={**os.environ, "CONTAINERS_CONF": str(Path(__file__).with_name("containers.conf"))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise RuntimeError(f"podman {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return done


@cache
def build() -> Image:
    """Raises `RuntimeError` where a step of the Dockerfile fails."""
    base = tool_file("python-image.tar")
    change = "--change=ENV PATH=/usr/local/bin:/usr/bin:/bin"
    if podman("image", "exists", _BASE, check=False).returncode or _older_than(base):
        podman("import", change, str(base), _BASE)
    options = ["--format=docker", f"--build-arg=PYTHON={_BASE}", f"--tag={_TAG}"]
    options += ["--volume=/etc/ssl/certs:/etc/ssl/certs:ro", f"--file={DEPLOY / 'Dockerfile'}"]
    podman("build", *options, str(DEPLOY.parent))
    # Layers that an older build left behind; those of today speed up the next build.
    podman("image", "prune", "--force", "--filter=until=24h")
    return Image(_inspect(_TAG)["Config"])


def _older_than(base: Path) -> bool:
    created = podman("image", "inspect", "--format={{.Created.Unix}}", _BASE).stdout
    return int(created) < base.stat().st_mtime


def _inspect(name: str) -> dict[str, Any]:
    (found,) = json.loads(podman("image", "inspect", name).stdout)
    return dict(found)


if __name__ == "__main__":
    image = build()
    script = "du -smc /opt/qa-worker/lib/python3*/site-packages/* | sort -rn"
    print("MiB\t(the base excluded)")
    print(image.run("sh", "-c", script).stdout, end="")
