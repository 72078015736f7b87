"""Checks that every pinned package has a wheel for each supported Python and platform.

`python deploy/check_wheels.py [--python 3.14] [--platform manylinux_2_28_aarch64]`

Asks pip for each line of deploy/constraints.txt, with `--only-binary` and without dependencies;
downloads nothing that is already in pip's cache. Prints what is missing and exits with 1 then.
"""

import argparse
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CONSTRAINTS = Path(__file__).with_name("constraints.txt")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64")
OLDER = ("manylinux_2_27", "manylinux_2_17", "manylinux2014")
"""Older tags that a manylinux_2_28 system accepts; pip does not add them to --platform."""


def missing(requirement: str, python: str, platform: str) -> str | None:
    """The package on this Python and platform, if it has no wheel there."""
    machine = platform.removeprefix("manylinux_2_28_")
    tags = [platform, *(f"{older}_{machine}" for older in OLDER)]
    command = [
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"),
        *("--disable-pip-version-check", "--no-deps", "--only-binary=:all:"),
        *("--python-version", python, "--target", tempfile.gettempdir()),
        *(f"--platform={tag}" for tag in tags),
    ]
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    reason = done.stderr.strip().splitlines()[-1]
    return f"{requirement} on Python {python}, {platform}: {reason}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="+", default=PYTHONS)
    parser.add_argument("--platform", nargs="+", default=PLATFORMS)
    arguments = parser.parse_args()
    lines = [line.partition("#")[0].strip() for line in CONSTRAINTS.read_text().splitlines()]
    checks = [
        (requirement, python, platform)
        for requirement in filter(None, lines)
        for python in arguments.python
        for platform in arguments.platform
    ]
    with ThreadPoolExecutor(4) as pool:
        found = list(filter(None, pool.map(lambda check: missing(*check), checks)))
    print(*found, f"{len(checks)} checks, {len(found)} without a wheel", sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
