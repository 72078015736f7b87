"""Models to read with: the default one, opened once, and tiny ones whose logits are known."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.reading.bundles import tiny_bundle as make_tiny_bundle
from worker.reading.bundle import DEFAULT_BUNDLE, Bundle, open_bundle
from worker.reading.options import ReadingDefaults
from worker.reading.reader import Reader
from worker.reading.windows import Windower


@pytest.fixture(scope="session")
def default_bundle() -> Bundle:
    return open_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="session")
def windower(default_bundle: Bundle) -> Windower:
    return Windower(default_bundle, max_tokens=512)


@pytest.fixture(scope="session")
def reader(default_bundle: Bundle) -> Iterator[Reader]:
    """The default model, on one thread."""
    with Reader(default_bundle, ReadingDefaults(threads=1)) as reader:
        yield reader


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Bundle:
    return make_tiny_bundle(tmp_path / "tiny")


@pytest.fixture
def tiny_defaults() -> ReadingDefaults:
    """One thread, and batches of several windows of any length."""
    return ReadingDefaults(
        threads=1, max_batch_tokens=1024, max_padding=0.9, max_question_tokens=8, doc_stride=4
    )


@pytest.fixture
def tiny_reader(tiny_bundle: Bundle, tiny_defaults: ReadingDefaults) -> Iterator[Reader]:
    """Not started: what is submitted before `start` is encoded before the first batch runs."""
    reader = Reader(tiny_bundle, tiny_defaults)
    yield reader
    reader.close()


class Counted:
    """How far a counter of the worker went since this was made."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._before = self._now()

    def _now(self) -> float:
        return REGISTRY.get_sample_value(self._name) or 0.0

    @property
    def since(self) -> float:
        return self._now() - self._before
