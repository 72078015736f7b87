""".github/workflows: valid, pinned, with the least permissions; the make targets exist."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools import tool

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^\s*(?:- )?uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def jobs() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.name}:{name}", job)
        for path in WORKFLOWS
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    ]


def scripts() -> str:
    """The shell scripts of all steps."""
    return "\n".join(
        step["run"] for _, job in jobs() for step in job.get("steps", []) if "run" in step
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_their_version(path: Path) -> None:
    uses = [line for line in path.read_text().splitlines() if "uses: " in line]
    local = [line for line in uses if "uses: ./" in line]
    assert [line for line in uses if line not in local and not PINNED.match(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_job_names_its_permissions(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    assert [name for name, job in workflow["jobs"].items() if "permissions" not in job] == []


def test_only_jobs_that_publish_may_write() -> None:
    writing = {name for name, job in jobs() if "write" in job["permissions"].values()}
    assert writing == {f"release.yml:{name}" for name in ("pypi", "image", "chart", "github")}
    # Jobs that may write do not build with our dependencies; the image is built in its own.
    for name, job in jobs():
        if name in writing - {"release.yml:image"}:
            assert "make " not in "".join(step.get("run", "") for step in job["steps"])


def test_make_targets_of_the_workflows_exist() -> None:
    targets = set(re.findall(r"^([a-z][\w.-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][\w.-]*)", scripts().replace("git golang make npm", "")))
    assert {"test-fast", "test-kafka-3.9", "release", "image"} <= named <= targets
    assert ".ci/run" in scripts()


def test_the_build_of_a_release_installs_what_make_generate_needs() -> None:
    steps = [step.get("run", "") for step in dict(jobs())["release.yml:build"]["steps"]]
    (release,) = [n for n, run in enumerate(steps) if run.startswith("make release ")]
    assert steps.index(".ci/tools chart") < release


def test_go_builds_a_checkout_of_another_user() -> None:
    # In the container of ci.yml, git refuses the checkout, and go build fails for its version.
    builds = re.findall(r"^\s*go build .*$", (ROOT / ".ci/tools").read_text(), re.MULTILINE)
    assert builds
    assert [build for build in builds if "-buildvcs=false" not in build] == []


def test_ci_runs_on_each_python_that_the_package_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: "
    supported = [
        each.removeprefix(prefix) for each in project["classifiers"] if each.startswith(prefix)
    ]
    fast = dict(jobs())["ci.yml:fast"]
    assert fast["strategy"]["matrix"]["python"] == supported


def test_the_full_run_has_the_base_of_the_image() -> None:
    base = re.search(r"^ARG PYTHON=(\S+)$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    assert base
    assert dict(jobs())["ci.yml:full"]["container"]["image"] == base[1]


@pytest.mark.tools
def test_actionlint_accepts_the_workflows() -> None:
    done = subprocess.run(
        [tool("actionlint")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.tools
def test_zizmor_finds_no_weakness_in_the_workflows() -> None:
    done = subprocess.run(
        [tool("zizmor"), "--offline", "--no-progress", "--strict-collection", ".github"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.tools
def test_zizmor_and_actionlint_find_what_is_wrong(tmp_path: Path) -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    (tmp_path / ".github/workflows").mkdir(parents=True)
    (tmp_path / ".github/workflows/ci.yml").write_text(
        text.replace("runs-on: ubuntu-24.04", "runs-on: ubuntu-1.04").replace(
            "run: .ci/run", "run: echo ${{ github.head_ref }}"
        )
    )
    git = ["git", "init", "--quiet"]  # actionlint looks for the root of the repository
    subprocess.run(git, cwd=tmp_path, check=True)
    for command, problem in (
        (["actionlint"], "ubuntu-1.04"),
        (["zizmor", "--offline", "--no-progress", "."], "template-injection"),
    ):
        name, *options = command
        done = subprocess.run(
            [tool(name), *options], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert problem in done.stdout
