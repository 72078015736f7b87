"""Programs that some tests need and Python's packages do not bring. `.ci/tools` installs them.

A developer without one of them skips its tests; `TEST_TOOLS=all`, as CI has it, demands all.
"""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "qa-worker", "tools")
"""Where `.ci/tools` puts what has no place of its own."""


def tool(*names: str) -> str:
    """The path of the first of these programs that is here; without one, the test is skipped."""
    for name in names:
        for path in (None, str(CACHE / "bin")):
            if found := shutil.which(name, path=path):
                return found
    return missing(_not_here(names[0]))


def tool_file(name: str) -> Path:
    """A file or directory, by its name in the cache of tools."""
    path = CACHE / name
    if not path.exists():
        missing(_not_here(name))
    return path


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where all tools are demanded."""
    if os.environ.get("TEST_TOOLS") == "all":
        pytest.fail(reason)
    pytest.skip(reason)


def _not_here(name: str) -> str:
    return f"{name} is not here; .ci/tools installs it"
