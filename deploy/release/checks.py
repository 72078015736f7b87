"""What has to hold before a release is built: a clean tree, a new version, a dated changelog."""

import subprocess
import tomllib
from pathlib import Path

from deploy.release.changelog import release_notes


class NotReady(RuntimeError):  # noqa: N818 - a state of the tree
    """The release cannot be built. The message has one line that says what to change."""


def version_of(root: Path) -> str:
    """Returns the version in pyproject.toml, the one place that has it."""
    return str(tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def check(root: Path, tag: str = "") -> None:
    """Raises `NotReady` with the first thing that is wrong.

    `tag` is the tag that a release workflow runs for; empty before the tag is made.
    """
    version = version_of(root)
    if tag and tag != f"v{version}":
        raise NotReady(f"the tag is {tag}, but pyproject.toml has version {version}")
    if changed := git(root, "status", "--porcelain"):
        names = ", ".join(line[3:] for line in changed.splitlines()[:5])
        raise NotReady(
            f"not committed: {names}; commit or remove them (`make generate` may have changed "
            "generated files)"
        )
    tagged = git(root, "tag", "--list", f"v{version}")
    if tagged and git(root, "rev-parse", f"{tagged}^{{commit}}") != git(root, "rev-parse", "HEAD"):
        raise NotReady(f"{tagged} is the tag of another commit: raise `version` in pyproject.toml")
    try:
        release_notes((root / "CHANGELOG.md").read_text("utf-8"), version)
    except ValueError as error:
        raise NotReady(f"CHANGELOG.md: {error}") from error


def git(root: Path, *arguments: str) -> str:
    """Returns git's output. Raises `NotReady` with git's last line if git fails."""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise NotReady("git is not installed") from None
    if done.returncode:
        raise NotReady(f"git {arguments[0]}: {(done.stderr.splitlines() or ['failed'])[-1]}")
    return done.stdout.rstrip("\n")
