"""Marks the tests that need a broker, a browser or a registry, by their fixtures; refuses unmarked
processes.

The marks `process` and, for other programs, `tools` stand in the test files. `make test-fast` runs
the tests that have no mark; one of them that starts a process fails and is told which is missing.
"""

import sys
from collections.abc import Iterator

import pytest

from tests import forked

FIXTURES = {
    "broker": {"broker", "apache_kafka", "start_apache_kafka", "servers", "cluster"},
    "browser": {"browser"},
    "tools": {"registry_url", "guid_registry_url", "start_registry"},
}
"""Mark to the fixtures of which a test has one."""

COVERED = ("tests/inference/", "tests/streaming/test_offset_tracker.py")
"""Where the tests are that have to cover what they test. The short ones do, and measuring makes
tests half as fast."""

MARKS = ("broker", "browser", "process", "tools")
"""Tests with one of these wait for other processes more than they compute."""

STARTS = ("os.fork", "os.posix_spawn", "subprocess.Popen", forked.AUDIT_EVENT)
"""Audit events of a process that starts."""

_running: pytest.Item | None = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        assert isinstance(item, pytest.Function)
        for mark, fixtures in FIXTURES.items():
            if fixtures & set(item.fixturenames):
                item.add_marker(mark)
        is_short = not any(item.get_closest_marker(mark) for mark in ("long", *MARKS))
        if is_short and item.nodeid.startswith(COVERED):
            item.add_marker("covered")
    _sort_files(items)


def _sort_files(items: list[pytest.Item]) -> None:
    """Sorts the files, which `make test` spreads over processes in this order.

    Files of tests that wait come from the last name to the first, as those of `streaming` and
    `security` wait longest: at the end only short ones are left, and the processes end together.
    The other files are spread evenly among them, so that the processors always have work.
    """
    waiting = {item.path for item in items if any(map(item.get_closest_marker, MARKS))}
    computing = {item.path for item in items} - waiting
    turns = {
        path: index / len(files)
        for files in (waiting, computing)
        for index, path in enumerate(sorted(files, reverse=True))
    }
    items.sort(key=lambda item: (turns[item.path], item.path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _running
    _running = item
    try:
        return (yield)
    finally:
        _running = None


def _refuse_processes(event: str, _: object) -> None:
    if event not in STARTS or _running is None:
        return
    if not any(_running.get_closest_marker(mark) for mark in MARKS):
        raise RuntimeError(f"{_running.nodeid} starts a process: mark it with pytest.mark.process")


sys.addaudithook(_refuse_processes)
