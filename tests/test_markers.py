"""The marks that decide in which part of `make test` a test runs."""

import re
from pathlib import Path

from tests.markers import COVERED

MAKEFILE = Path(__file__).parents[1] / "Makefile"


def test_make_test_collects_all_covered_tests() -> None:
    """A test with the mark `covered` outside of these paths would run in no part."""
    (paths,) = re.findall(r"^COVERED := (.*)$", MAKEFILE.read_text(), re.MULTILINE)
    assert tuple(paths.split()) == COVERED
