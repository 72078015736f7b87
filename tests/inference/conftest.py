"""Models to read with: the default one, opened once, and tiny ones whose logits are known."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.inference.bundles import tiny_bundle as make_tiny_bundle
from worker.inference.engine import InferenceEngine
from worker.inference.options import InferenceOptions
from worker.inference.question_answering.windows import Windower
from worker.models.bundle import DEFAULT_BUNDLE, Bundle, open_bundle


@pytest.fixture(scope="session")
def default_bundle() -> Bundle:
    return open_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="session")
def windower(default_bundle: Bundle) -> Windower:
    return Windower(default_bundle, max_tokens=512)


@pytest.fixture(scope="session")
def reader(default_bundle: Bundle) -> Iterator[InferenceEngine]:
    """The default model, on one thread."""
    with InferenceEngine(default_bundle, InferenceOptions(threads=1)) as reader:
        yield reader


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Bundle:
    return make_tiny_bundle(tmp_path / "tiny")


@pytest.fixture
def tiny_defaults() -> InferenceOptions:
    """One thread, and batches of several windows of any length."""
    return InferenceOptions(
        threads=1, max_batch_tokens=1024, max_padding=0.9, max_question_tokens=8, doc_stride=4
    )


@pytest.fixture
def tiny_reader(tiny_bundle: Bundle, tiny_defaults: InferenceOptions) -> Iterator[InferenceEngine]:
    """Not started: what is submitted before `start` is encoded before the first batch runs."""
    reader = InferenceEngine(tiny_bundle, tiny_defaults)
    yield reader
    reader.close()


class Counted:
    """How far a counter of the worker went since this was made."""

    def __init__(self, name: str, **labels: str) -> None:
        self._name = name
        self._labels = labels
        self._before = self._now()

    def _now(self) -> float:
        return REGISTRY.get_sample_value(self._name, self._labels) or 0.0

    @property
    def since(self) -> float:
        return self._now() - self._before
