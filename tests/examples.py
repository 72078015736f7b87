"""How many examples a property test tries.

`TEST_EXAMPLES_SHARE`, 1 by default, is the share of them that run: `make test-fast` and CI set a
lower one. Each property still runs.
"""

import os

from hypothesis import settings

SHARE = float(os.environ.get("TEST_EXAMPLES_SHARE", "1"))

LEAST = 10
"""A property tries at least this many examples."""

DEFAULT = 100
"""For a property that asks for no number."""


def examples(count: int) -> settings:
    """A decorator for a property that tries `count` examples."""
    return settings(max_examples=shared(count), deadline=None)


def shared(count: int) -> int:
    """The number of examples that run in the place of `count`."""
    return min(count, max(LEAST, round(count * SHARE)))
