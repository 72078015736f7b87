"""pyproject.toml has the version; the other files that name it name the same one."""

import re
from pathlib import Path

from deploy.release.checks import version_of

ROOT = Path(__file__).parents[3]
_VERSION = r"(\d+\.\d+\.\d+)"
NAMED = re.compile(
    rf"""\bqa-worker(?:-models)?:{_VERSION}|\bVERSION="?{_VERSION}|newTag:\ "?{_VERSION}"""
    rf"""|appVersion:\ "?{_VERSION}""",
    re.VERBOSE,
)


def versions(text: str) -> set[str]:
    return {version for match in NAMED.findall(text) for version in match if version}


def is_text(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def test_all_files_name_the_version_of_the_project() -> None:
    files = [ROOT / "README.md", ROOT / "docker-compose.yml"]
    files += [path for path in (ROOT / "deploy").rglob("*") if is_text(path)]
    named = {path: found for path in files if (found := versions(path.read_text("utf-8")))}
    assert ROOT / "deploy" / "Dockerfile" in named
    assert ROOT / "deploy" / "kubernetes" / "base" / "kustomization.yaml" in named
    wrong = {path: found for path, found in named.items() if found != {version_of(ROOT)}}
    assert wrong == {}


def test_each_form_of_a_version_is_found() -> None:
    text = (
        'qa-worker:1.0.0 VERSION="1.0.1" newTag: 1.0.2\nqa-worker-models:1.0.3 appVersion: "1.0.4"'
    )
    assert sorted(versions(text)) == ["1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4"]
