"""A directory in which commands run as if it were all there is, with the calls that engines use.

Its own are /usr/local, /opt and what else is put there; programs, libraries and /etc are this
machine's, which cannot be written from inside. Namespaces of mounts and processes, and a change of
root, as a container has; the network is this machine's.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

_SHARED = ("etc", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "usr/share")
_PASSED_OVER = ("__pycache__", "config-*", "idlelib", "site-packages", "test", "tkinter")
_NOBODY = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")


def why_no_roots() -> str | None:
    """A reason, where this machine does not allow them."""
    if os.geteuid():
        return "only root may change its root"
    tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True)
    return tried.stderr.decode().strip() if tried.returncode else None


def need_roots() -> None:
    """Skips the test where there are none; CI demands them, as it does the tools."""
    if reason := why_no_roots():
        if os.environ.get("TEST_TOOLS") == "all":
            pytest.fail(reason)
        pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class User:
    """By number, as an image's USER."""

    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Root:
    path: Path

    def __truediv__(self, path: str) -> Path:
        """Where an absolute path of the inside is outside."""
        return self.path / path.lstrip("/")

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        user: User | None = None,
        directory: str = "/",
        binds: Mapping[str, Path] | None = None,
        output: IO[bytes] | int = subprocess.PIPE,
    ) -> "subprocess.Popen[bytes]":
        """The command is process 1. With a `user` it has no rights, and all of the root, `binds`
        (inside: outside) excepted, is read-only; without one it is root, and may write.
        """
        script = self._mounts(binds or {}, read_only=user is not None) + '\nexec "$@"'
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script, "sh"]
        inside = ["chroot", str(self.path), "env", "-i", f"--chdir={directory}"]
        inside += [f"{name}={value}" for name, value in environment.items()]
        if user:
            inside += ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", *_NOBODY]
        return subprocess.Popen(
            [*apart, *inside, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], **more: object
    ) -> tuple[int, str]:
        """The exit code, and what it said."""
        process = self.start(command, environment, **more)  # type: ignore[arg-type]
        said, _ = process.communicate()
        return process.returncode, said.decode()

    def _mounts(self, binds: Mapping[str, Path], *, read_only: bool) -> str:
        """A script. All of it ends with the process."""
        lines = [f"mount --bind {self.path} {self.path}"]
        for name in ("proc", "dev", *_SHARED, *binds):
            (self / name).mkdir(parents=True, exist_ok=True)
        lines.append(f"mount -t proc proc {self / 'proc'}")
        lines.append(f"mount --bind /dev {self / 'dev'}")
        for name in _SHARED:
            lines.append(f"mount --bind /{name} {self / name}")
            lines.append(f"mount -o remount,bind,ro {self / name}")
        if read_only:
            lines.append(f"mount -o remount,bind,ro {self.path}")
        lines += [f"mount --bind {outside} {self / inside}" for inside, outside in binds.items()]
        return "\n".join(lines)


def python_root(path: Path) -> Root:
    """What stands for the image python:3.11-slim: this interpreter with its pip, in /usr/local.

    The standard library has no bytecode, as it has none in the image.
    """
    root = Root(path)
    for name in _SHARED:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "tmp").mkdir()
    library = Path(sysconfig.get_path("stdlib"))
    its = root / f"usr/local/lib/{library.name}"
    shutil.copytree(library, its, ignore=shutil.ignore_patterns(*_PASSED_OVER))
    (its / "site-packages").mkdir()
    (root / "usr/local/bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), root / "usr/local/bin/python3")
    (root / "usr/local/bin/python").symlink_to("python3")
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        # Where the interpreter looks for it.
        shared = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))
        (root / str(shared.parent)).mkdir(parents=True, exist_ok=True)
        shutil.copy(shared, root / str(shared))
    environment = {"PATH": "/usr/local/bin:/usr/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    code, said = root.run(["python", "-m", "ensurepip", "--default-pip"], environment)
    assert code == 0, said
    return root
