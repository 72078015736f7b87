"""Fixtures of the whole suite: brokers, and logs that show what matters in a failure."""

import gc
import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from tests.examples import DEFAULT, shared

pytest_plugins = ["tests.brokers.fixtures", "tests.markers", "tests.registries.fixtures"]

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))

# On a busy machine an example may take its time. CI tries the same ones each run; a developer's
# machine looks for new ones.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize="CI" in os.environ,
    max_examples=shared(DEFAULT),
)
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Excludes the collected tests from garbage collections: they live to the end of the run, and a
    full collection would pass over two million objects. Young garbage is collected less often. In
    tests without processes collections took a tenth of the processor time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 50)
        gc.enable()
