"""Fixtures of the whole suite: brokers, and logs that show what matters in a failure."""

import logging

import structlog

pytest_plugins = ["tests.brokers.fixtures"]

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
