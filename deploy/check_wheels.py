"""Checks that every pinned package has a wheel for each supported Python and platform.

`python deploy/check_wheels.py [--python 3.14] [--platform manylinux_2_28_aarch64]`

Lets pip resolve deploy/constraints.txt with `--only-binary`, without dependencies, as a dry run.
Prints the packages without a wheel, and exits with 1 if there are any.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CONSTRAINTS = Path(__file__).with_name("constraints.txt")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64")
OLDER = ("manylinux_2_27", "manylinux_2_26", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
"""Older tags that a manylinux_2_28 system accepts; pip does not add them to --platform."""


def without_wheel(requirements: list[str], python: str, platform: str) -> list[str]:
    """The requirements without a wheel. pip stops at the first one, so it runs once more each."""
    machine = platform.removeprefix("manylinux_2_28_")
    tags = [platform, *(f"{older}_{machine}" for older in OLDER)]
    command = [
        *(sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"),
        *("--disable-pip-version-check", "--no-deps", "--only-binary=:all:"),
        *("--python-version", python, "--target", tempfile.gettempdir()),
        *(f"--platform={tag}" for tag in tags),
    ]
    found: list[str] = []
    while True:
        left = [requirement for requirement in requirements if requirement not in found]
        done = subprocess.run([*command, *left], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return found
        missing = re.search(r"No matching distribution found for (\S+)", done.stderr)
        if missing is None or missing[1] not in left:
            sys.exit(done.stderr)
        found.append(missing[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", nargs="+", default=PYTHONS)
    parser.add_argument("--platform", nargs="+", default=PLATFORMS)
    arguments = parser.parse_args()
    lines = [line.partition("#")[0].strip() for line in CONSTRAINTS.read_text().splitlines()]
    requirements = list(filter(None, lines))
    failed = False
    for python in arguments.python:
        for platform in arguments.platform:
            found = without_wheel(requirements, python, platform)
            failed = failed or bool(found)
            missing = ", ".join(found) or "none"
            sys.stdout.write(f"Python {python}, {platform}: without a wheel: {missing}\n")
            sys.stdout.flush()
    sys.exit(failed)


if __name__ == "__main__":
    main()
