"""deploy/audit.py without its tools, which `make audit` runs in CI."""

import json
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.audit import environment_of, runtime, vulnerabilities_of

PROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_runtime_dependencies_are_the_declared_ones_and_theirs() -> None:
    declared = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    names = {canonicalize_name(Requirement(line).name) for line in declared}
    shipped = runtime()
    assert names < set(shipped)
    assert "opentelemetry-sdk" in shipped  # the image's extra
    assert {"cramjam", "multidict", "pydantic-core"} <= set(shipped)  # cramjam: by an extra
    assert not {"pytest", "mypy", "ruff", "hypothesis", "qa-worker"} & set(shipped)


def test_the_tools_see_the_runtime_dependencies_alone(tmp_path: Path) -> None:
    shipped = runtime()
    python = environment_of(shipped, tmp_path / "runtime")
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    seen = {info.name.removesuffix(".dist-info").rpartition("-")[0] for info in packages.iterdir()}
    assert {canonicalize_name(name) for name in seen} == set(shipped)


@pytest.mark.process
@pytest.mark.parametrize("reachable", [True, False])
def test_distributions_that_could_not_be_looked_up_are_not_counted(
    tmp_path: Path, reachable: bool
) -> None:
    known = {"id": "PYSEC-2026-1", "fix_versions": ["3.0"], "aliases": [], "description": ""}
    answers = [
        {"name": "sound", "version": "1.0", "vulns": []},
        {"name": "broken", "version": "2.0", "vulns": [known]},
        {"name": "unknown", "skip_reason": "not found"},
    ]
    # As pip-audit answers, which needs a service that not every machine reaches.
    said = json.dumps({"dependencies": answers if reachable else answers[2:]})
    (tmp_path / "pip-audit").write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    (tmp_path / "pip-audit").chmod(0o755)
    python = environment_of({}, tmp_path / "runtime")
    lines, count = vulnerabilities_of(tmp_path, python)
    assert count == (2 if reachable else 0)
    assert lines == (["broken 2.0: PYSEC-2026-1, fixed in 3.0"] if reachable else [])
