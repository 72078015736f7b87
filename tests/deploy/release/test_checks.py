"""`make release` stops at a tree that is not the one that the release says."""

import subprocess
from pathlib import Path

import pytest

from deploy.release.checks import NotReady, check

pytestmark = pytest.mark.process


def git(root: Path, *arguments: str) -> None:
    identity = [
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.com",
        "-c",
        "tag.gpgsign=false",
    ]
    subprocess.run(
        ["git", *identity, "-c", "commit.gpgsign=false", *arguments],
        cwd=root,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one commit, which can be released as 1.2.3."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2026-01-02\n\n- One.\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=One")
    return tmp_path


def refused(root: Path, tag: str = "") -> str:
    with pytest.raises(NotReady) as caught:
        check(root, tag)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_clean_commit_is_ready_before_and_after_its_tag(root: Path) -> None:
    check(root)
    git(root, "tag", "v1.2.3")
    check(root, "v1.2.3")


def test_a_file_that_is_not_committed_is_named(root: Path) -> None:
    (root / "new.py").touch()
    assert refused(root).startswith("not committed: new.py; commit or remove")


def test_a_version_that_has_a_tag_is_refused(root: Path) -> None:
    git(root, "tag", "--annotate", "--message=1", "v1.2.3")
    git(root, "commit", "--quiet", "--allow-empty", "--message=Two")
    assert refused(root) == "v1.2.3 is the tag of another commit: raise `version` in pyproject.toml"


def test_a_tag_of_another_version_is_refused(root: Path) -> None:
    assert refused(root, "v1.2.4") == "the tag is v1.2.4, but pyproject.toml has version 1.2.3"


def test_a_version_without_notes_is_refused(root: Path) -> None:
    (root / "pyproject.toml").write_text('[project]\nversion = "1.3.0"\n')
    git(root, "commit", "--quiet", "--all", "--message=Two")
    assert refused(root).startswith("CHANGELOG.md: there is no section '## [1.3.0] - date'")


def test_a_tree_without_git_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    assert "not a git repository" in refused(tmp_path)
