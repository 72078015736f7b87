"""Marks each test by what it needs, so that `make test-fast` can leave it out.

A mark comes from the code that a test can reach: its own, that of its fixtures, and that of the
helpers in tests/ and deploy/ which they name. A test without a mark that starts a process fails:
`NEEDS` then lacks what starts it.
"""

import inspect
import sys
from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import pytest

MARKS = {
    "broker": "needs a Kafka cluster",
    "process": "starts other processes",
    "browser": "needs Chromium",
    "tools": "needs programs that .ci/tools installs",
}
NEEDS = {
    "multiprocessing": "process",
    "playwright": "browser",
    "subprocess": "process",
    "tests.brokers.choose": "broker",
    "tests.tools": "tools",
    "worker.kafka.dev_broker.DevBroker": "broker",
    "worker.kafka.java_runtime.find_java": "process",
    "worker.kafka.kafka_node.KafkaNode": "broker",
}
"""By module, or a name in one: the mark of a test whose code names it."""

_PROCESSES = {"create_subprocess_exec", "create_subprocess_shell", "fork"}

_running: pytest.Item | None = None


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}; set by tests/markers.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        assert isinstance(item, pytest.Function)
        fixtures = item._fixtureinfo.name2fixturedefs.values()
        for code in (item.function, *(each.func for every in fixtures for each in every)):
            for name in _needs(code):
                item.add_marker(name)


@cache
def _needs(code: Any) -> frozenset[str]:
    """Marks for everything that a function or a class can reach by the names in it."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting = [code]
    while waiting:
        value = inspect.unwrap(waiting.pop())
        if id(value) in seen:
            continue
        seen.add(id(value))
        module, name = _module(value), getattr(value, "__name__", "")
        places = (module, module.partition(".")[0], f"{module}.{name}")
        if marks := {NEEDS[place] for place in places if place in NEEDS}:
            found |= marks
        elif not module.startswith(("tests.", "deploy.")):
            continue
        elif isinstance(value, type):
            waiting += [each for each in vars(value).values() if isinstance(each, FunctionType)]
        elif isinstance(value, FunctionType):
            names = set(_names(value.__code__))
            waiting += [value.__globals__[name] for name in names & value.__globals__.keys()]
            if names & _PROCESSES:
                found.add("process")
    return frozenset(found)


def _module(value: object) -> str:
    name = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
    return name if isinstance(name, str) else ""


def _names(code: CodeType) -> Iterator[str]:
    """Those of the functions and comprehensions inside of it, too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    global _running
    _running = item
    try:
        return (yield)
    finally:
        _running = None


def _refuse_processes(event: str, _: object) -> None:
    if event not in ("os.fork", "os.posix_spawn", "subprocess.Popen") or _running is None:
        return
    if not any(_running.get_closest_marker(name) for name in MARKS):
        raise RuntimeError(f"{_running.nodeid} starts a process: mark it in tests/markers.py")


sys.addaudithook(_refuse_processes)
