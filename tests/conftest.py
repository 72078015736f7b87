"""Fixtures of the whole suite: brokers, and logs that show what matters in a failure."""

import logging
import os

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
