"""Builds a release in dist/, as far as no account is needed. `make release` runs it.

    python -m deploy.release check [--tag v0.2.0]      whether this commit can be released
    python -m deploy.release build --tools DIRECTORY   dist/, and the commands that publish it

The SBOM comes from `make audit`, which runs before `build`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.audit import SBOM
from deploy.release.artifacts import build_packages, write_sums
from deploy.release.bare import BareEnvironment
from deploy.release.changelog import release_notes
from deploy.release.checks import NotReady, check, git, version_of

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "qa-worker"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_TOOLS = _CACHE / "qa-worker" / "tools" / "bin"
"""Where .ci/tools installs helm."""


def build(root: Path, dist: Path, tools: Path) -> None:
    """Fills `dist`. Raises `NotReady`, or `CalledProcessError` of the program that failed."""
    version = version_of(root)
    shutil.rmtree(dist, ignore_errors=True)
    build_packages(root, dist, int(git(root, "log", "-1", "--format=%ct")))
    packages = sorted(dist.iterdir())
    _run(str(tools / "twine"), "check", "--strict", *map(str, packages))
    (wheel,) = dist.glob("*.whl")
    _try(wheel, root / "deploy" / "constraints.txt", version)
    sbom = root / "build" / SBOM
    if not sbom.exists():
        raise NotReady(f"{sbom.relative_to(root)} is missing: run `make audit` first")
    shutil.copy(sbom, dist / f"qa_worker-{version}.{SBOM.removeprefix('sbom.')}")
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    (dist / "RELEASE_NOTES.md").write_text(release_notes(changelog, version), "utf-8")
    _package_chart(version, dist)
    write_sums(dist)


def _try(wheel: Path, constraints: Path, version: str) -> None:
    """Installs the wheel into a bare environment and asks it a question.

    Raises `NotReady` if the answer is not the expected one.
    """
    with tempfile.TemporaryDirectory(prefix="qa-release-") as directory:
        bare = BareEnvironment(Path(directory))
        bare.install(wheel, constraints)
        for arguments, expected in (
            (["--version"], f"qa-worker {version}\n"),
            (["ask", "--question=Who wrote it?", "--context=Ada wrote it.", "--json"], '"Ada"'),
        ):
            done = bare.run(*arguments)
            if done.returncode or expected not in done.stdout:
                raise NotReady(
                    f"the installed wheel fails: qa-worker {arguments[0]}: "
                    f"{done.stderr or done.stdout}"
                )


def _package_chart(version: str, dist: Path) -> None:
    helm = shutil.which("helm") or shutil.which("helm", path=str(_TOOLS))
    if helm is None:
        raise NotReady("helm, which packages the chart, is not installed: run .ci/tools chart")
    versions = [f"--version={version}", f"--app-version={version}"]
    _run(helm, "package", str(CHART), *versions, f"--destination={dist}")


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)


def summary(root: Path, dist: Path) -> str:
    """Returns what was built, and the commands that need an account."""
    version = version_of(root)
    files = [f"  {path.name:<40} {path.stat().st_size:>12,}" for path in sorted(dist.iterdir())]
    commit = git(root, "rev-parse", "--short", "HEAD")
    lines = [f"dist/: qa-worker {version} of commit {commit}, bytes", *files, ""]
    lines += [
        "What needs an account. With GitHub, the tag is enough (.github/workflows/release.yml):",
        f"  git tag --annotate v{version} --message 'qa-worker {version}'",
        f"  git push origin v{version}",
        "By hand:",
        "  twine upload dist/*.whl dist/*.tar.gz",
        "  make image PUSH=1 IMAGE=registry.example.com/qa-worker  # linux/amd64 and linux/arm64",
    ]
    if chart := next(dist.glob("*.tgz"), None):
        lines.append(f"  helm push dist/{chart.name} oci://registry.example.com/charts")
    lines.append(
        "The image is not in dist/: `make image` builds it, with a Docker engine and buildx."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.release")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check")
    checking.add_argument("--tag", default="")
    building = commands.add_parser("build")
    building.add_argument("--tools", type=Path, required=True)
    arguments = parser.parse_args()
    try:
        if arguments.command == "check":
            check(ROOT, arguments.tag)
        else:
            build(ROOT, ROOT / "dist", arguments.tools)
            print(summary(ROOT, ROOT / "dist"))
    except NotReady as error:
        sys.exit(f"release: {error}")
    except subprocess.CalledProcessError as error:
        output = f"{error.stdout or ''}{error.stderr or ''}".strip()
        sys.exit(f"{output}\nrelease: {' '.join(map(str, error.cmd[:4]))} failed, see above")


if __name__ == "__main__":
    main()
