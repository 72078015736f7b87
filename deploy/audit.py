"""An SBOM (CycloneDX) of the worker's runtime dependencies, and the vulnerabilities known of them.

`make audit` runs this as `python -m deploy.audit`. The tools, cyclonedx-py and pip-audit, have an
environment of their own (`AUDIT_TOOLS`). They read an environment that shows the runtime
dependencies alone, without those of development.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OWN = "qa-worker"
SHIPPED_EXTRA = "tracing"
"""Of the image (`EXTRAS` in deploy/Dockerfile)."""
SBOM = "sbom.cdx.json"


def runtime() -> dict[str, metadata.Distribution]:
    """The distributions that the image installs besides `qa-worker`, by name."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(_needs(metadata.distribution(OWN), SHIPPED_EXTRA))
    seen = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found[name] = metadata.distribution(name)
        waiting += _needs(found[name], extra)
    return found


def _needs(distribution: metadata.Distribution, extra: str) -> Iterator[tuple[str, str]]:
    """Requirements as (name, extra); the empty extra is the distribution itself."""
    for line in distribution.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            for wanted in ("", *requirement.extras):
                yield canonicalize_name(requirement.name), wanted


def environment_of(distributions: dict[str, metadata.Distribution], directory: Path) -> Path:
    """A virtual environment that lists these distributions and no others. Returns its Python."""
    venv.create(directory, clear=True, with_pip=False, symlinks=True)
    (packages,) = directory.glob("lib/python*/site-packages")
    for place in {Path(str(each.locate_file(""))) for each in distributions.values()}:
        for info in place.glob("*.dist-info"):
            name, _, _ = info.name.removesuffix(".dist-info").rpartition("-")
            if canonicalize_name(name) in distributions:
                (packages / info.name).symlink_to(info)
    return directory / "bin" / "python"


def make_sbom(tools: Path, python: Path, to: Path) -> None:
    command: list[str | Path] = [
        tools / "cyclonedx-py",
        "environment",
        python,
        "--pyproject",
        "pyproject.toml",
    ]
    # --validate: against the schema of CycloneDX, before the file is written.
    command += ["--validate", "--output-reproducible", "--output-format", "JSON"]
    subprocess.run([*command, "--output-file", to], check=True)


def components_of(sbom: Path) -> dict[str, str]:
    """Components of the SBOM: name to version."""
    components = json.loads(sbom.read_text()).get("components", [])
    return {canonicalize_name(each["name"]): each["version"] for each in components}


def vulnerabilities_of(tools: Path, python: Path) -> tuple[list[str], int]:
    """A line for each vulnerability, and the number of distributions that were looked up."""
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    command: list[str | Path] = [
        tools / "pip-audit",
        "--path",
        packages,
        "--format",
        "json",
        "--progress-spinner",
    ]
    asked = subprocess.run([*command, "off"], capture_output=True, text=True, check=False)
    try:
        answers = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        print(asked.stderr.strip()[-500:], file=sys.stderr)
        return [], 0
    looked_up = [each for each in answers if "skip_reason" not in each]
    lines = [
        f"{each['name']} {each['version']}: {known['id']}, fixed in "
        f"{', '.join(known['fix_versions']) or 'no version'}"
        for each in looked_up
        for known in each["vulns"]
    ]
    return lines, len(looked_up)


def main(tools: Path, build: Path) -> int:
    """Returns the exit code: 1 with a known vulnerability, or an SBOM that is incomplete."""
    distributions = runtime()
    build.mkdir(exist_ok=True)
    python = environment_of(distributions, build / "runtime")
    make_sbom(tools, python, build / SBOM)
    found = components_of(build / SBOM)
    expected = {name: each.version for name, each in distributions.items()}
    if found != expected:
        print(f"{SBOM} does not match what is installed: {found.items() ^ expected.items()}")
        return 1
    print(f"{build / SBOM}: {len(found)} runtime dependencies")
    lines, count = vulnerabilities_of(tools, python)
    if count:
        print(f"audit: {count} of {len(expected)} looked up, {len(lines)} vulnerabilities known")
    else:
        print("audit: NOT DONE, no vulnerability service can be reached from here")
    for line in lines:
        print(f"audit: {line}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(Path(os.environ["AUDIT_TOOLS"], "bin"), Path("build")))
